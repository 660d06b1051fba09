"""The workbench's home: one place, made once, and one clear error where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import DataError
from workbench.home import home


def test_the_home_is_made_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", "own/home")
    assert home() == tmp_path / "own" / "home"
    assert home().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("place", ["/proc/nowhere", "a-file", "a-file/below"])
def test_a_home_that_cannot_be_made_is_one_error_that_says_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("WORKBENCH_HOME", place)
    with pytest.raises(DataError, match=r"cannot be made: .*; set WORKBENCH_HOME to a folder"):
        home()
