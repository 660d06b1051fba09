"""`workbench report` and `workbench lab` from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.report.notebook_builder import write_report
from workbench.cli import COMMANDS
from workbench.cli.lab import lab_command, lab_environment, project_root
from workbench.command_table import run
from workbench.errors import UsageError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a project with two reports."""
    folder = tmp_path / "notebooks" / "reports"
    write_report(folder, "daily", "x + 1", parameters="x = 1")
    write_report(folder, "broken", "raise ValueError('no candles today')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> int:
    return run("workbench", COMMANDS, "", list(arguments))


def test_a_good_report_prints_where_it_lies_and_exits_0(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("report", "daily", "-p", "x=41", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["status"] == "ok"
    assert Path(said["html"]).parent.parent == project / "reports" / "daily"
    assert Path(said["index"]) == project / "reports" / "index.html"
    assert "42" in Path(said["notebook"]).read_text()


def test_a_failed_report_is_a_finding_said_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("report", "broken") == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "ValueError: no candles today" in said.err
    assert "broken failed in" in said.out


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (["weekly"], "use one of broken, daily"),
        (["daily", "-p", "y=1"], "the notebook has x"),
        (["daily", "-p", "x=one"], "is not of type int"),
        (["../daily"], "is not a plain name"),
    ],
)
def test_a_wrong_call_exits_2_with_the_mend(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], mend: str
) -> None:
    assert call("report", *arguments) == 2
    said = capsys.readouterr().err
    assert mend in said
    assert said.count("\n") == 1
    assert not (project / "reports").exists()


def test_lab_listens_on_loopback_only_and_is_rooted_in_the_project() -> None:
    command = lab_command(Path("/p"), port=8890, browser=False)
    assert command[1:3] == ["-m", "jupyterlab"]
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--ServerApp.allow_remote_access=False" in command
    assert "--ServerApp.root_dir=/p" in command
    assert not [part for part in command if "token" in part.lower()]


def test_an_empty_token_of_the_environment_does_not_open_the_door() -> None:
    assert lab_environment({"JUPYTER_TOKEN": " ", "HOME": "/h"}) == {"HOME": "/h"}
    assert lab_environment({"JUPYTER_TOKEN": "t"}) == {"JUPYTER_TOKEN": "t"}


def test_lab_finds_the_project_from_any_folder_inside(tmp_path: Path) -> None:
    inside = tmp_path / "notebooks" / "reports"
    inside.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    assert project_root(inside) == tmp_path


def test_lab_without_a_project_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.cli.lab.__file__", str(tmp_path / "a" / "b" / "lab.py"))
    with pytest.raises(UsageError, match="no project with a notebooks folder"):
        project_root(tmp_path)
