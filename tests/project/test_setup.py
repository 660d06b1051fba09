"""Set-up tells in one line what is missing and how to mend it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The set-up script as a module that works on an empty folder."""
    spec = importlib.util.spec_from_file_location("project_setup", ROOT / ".ci" / "setup.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {
        "ROOT": tmp_path,
        "VENV": tmp_path / ".venv",
        "PYTHON": tmp_path / ".venv" / "bin" / "python",
        "LOG": tmp_path / ".venv" / "setup.log",
    }.items():
        monkeypatch.setattr(module, name, value)
    return module


def find_python(
    folder: Path, pythons: dict[str, str], **env: str
) -> subprocess.CompletedProcess[str]:
    """Run `.ci/find-python` where only these interpreters exist: name to version."""
    for name, version in pythons.items():
        fits = 0 if version.startswith(("3.11", "3.12", "3.13")) else 1
        script = f'#!/bin/sh\ncase "$2" in *print*) echo {version};; *) exit {fits};; esac\n'
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "find-python"],
        env={"PATH": str(folder), **env}, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


def test_the_default_python_is_taken_when_it_fits(tmp_path: Path) -> None:
    done = find_python(tmp_path, {"python3": "3.13.0", "python3.12": "3.12.1"})
    assert (done.returncode, done.stdout) == (0, "python3\n")


def test_a_newer_one_beside_an_old_default_is_found(tmp_path: Path) -> None:
    done = find_python(tmp_path, {"python3": "3.9.2", "python3.11": "3.11.7"})
    assert (done.returncode, done.stdout) == (0, "python3.11\n")


def test_python_named_by_the_user_goes_first(tmp_path: Path) -> None:
    find_python(tmp_path, {"mine": "3.12.4"})
    done = find_python(tmp_path, {"python3": "3.11.7"}, PYTHON=str(tmp_path / "mine"))
    assert done.stdout == f"{tmp_path / 'mine'}\n"


@pytest.mark.parametrize(
    ("pythons", "seen"),
    [
        ({"python3": "3.10.13"}, "python3 is 3.10.13"),
        ({"python3": "3.14.0"}, "python3 is 3.14.0"),
        ({}, "no python at all"),
    ],
)
def test_without_a_python_that_fits_one_line_says_what_to_install(
    tmp_path: Path, pythons: dict[str, str], seen: str
) -> None:
    done = find_python(tmp_path, pythons)
    assert done.returncode == 2
    assert done.stdout == ""
    assert seen in done.stderr
    assert "apt-get install python3" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full; free some space"),
        ("error: dns error: Temporary failure in name resolution", "check the network"),
        ("ProxyError('Cannot connect to proxy.'", "check the network"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES", "not the one that was locked"),
        ("hint: Wheels are required for `x`", "no wheel for this machine"),
        ("ensurepip is not available", "apt-get install python3-venv"),
        ("something else\nlast words", "last words"),
    ],
)
def test_an_installers_failure_becomes_one_line_with_the_mend(
    setup: ModuleType, told: str, says: str
) -> None:
    script = f"import sys; sys.stderr.write({told!r}); sys.exit(1)"
    with pytest.raises(setup.SetupFailed) as caught:
        setup._run([sys.executable, "-c", script], what="pip install")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_little_room_is_told_before_anything_is_made(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(setup, "NEEDED_BYTES", 10**18)
    assert setup.main([]) == 2
    assert "the packages need 1000000000.0 GB" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_locked_uv_is_taken_out_of_the_lock_with_its_hashes(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(setup, "UV", tmp_path / "no-uv")
    monkeypatch.setattr(setup, "_run", lambda *_, **__: None)
    setup._get_uv()
    lines = (tmp_path / ".venv" / "uv.lock.txt").read_text().splitlines()
    assert lines[0].startswith("uv==")
    assert all("--hash=sha256:" in line or "# via" in line for line in lines[1:])
    assert sum("--hash" in line for line in lines) > 5


def test_a_changed_lock_breaks_the_stamp(setup: ModuleType, tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    lock = tmp_path / "some.lock"
    lock.write_text("one")
    assert not setup._stamp_holds("project", lock)
    setup._write_stamp("project", lock)
    assert setup._stamp_holds("project", lock)
    lock.write_text("two")
    assert not setup._stamp_holds("project", lock)
