"""`workbench schedule` from the shell, with real reports, real deaths and the log that tells of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.report.notebook_builder import write_report
from workbench.cli import COMMANDS
from workbench.command_table import run
from workbench.processes import alive
from workbench.schedule.book import Book, new_schedule
from workbench.schedule.history import History, Status

HANGING = "import time\nfor _ in range(600):\n    time.sleep(0.1)"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a project with three reports and a home of its own."""
    folder = tmp_path / "notebooks" / "reports"
    write_report(folder, "good", "x + 1", parameters='x = 1\nsymbol = "BTCUSDT"')
    write_report(folder, "broken", "raise ValueError('no candles today')")
    write_report(folder, "hanging", HANGING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def folder(project: Path) -> Path:
    """Return where the schedules of this project's home lie."""
    return project / "home" / "schedules"


def call(*arguments: str) -> int:
    return run("workbench", COMMANDS, "", ["schedule", *arguments])


def overdue(folder: Path, name: str, report: str, **fields: object) -> None:
    """Add a schedule whose moment has come since it was added."""
    given: dict[str, object] = {
        "name": name, "report": report, "every_seconds": 3_600, "grace_seconds": 7_200,
        "timeout_seconds": 300, "project": str(folder.parents[1]),
        "out": str(folder.parents[1] / "reports"), "added": YESTERDAY,
    }  # fmt: skip
    Book(folder).add(new_schedule(**(given | fields)))


def test_a_schedule_is_added_listed_and_removed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("add", "btc", "--template", "good", "-p", "x=5", "--cron", "0 6 * * *") == 0
    assert "btc: report good, 0 6 * * *; first run " in capsys.readouterr().out
    assert call("list", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    (one,) = said["schedules"]
    assert said["scheduler_pid"] is None
    assert (one["parameters"], one["last"]) == ({"x": 5}, None)
    assert one["project"] == str(project)
    assert one["out"] == str(project / "reports")
    assert one["next_run"].endswith("T06:00:00Z")
    assert call("remove", "btc", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"removed": "btc"}
    assert call("list") == 0
    assert "no schedules; `workbench schedule add" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (["add", "a", "--template", "good", "--cron", "0 6 * *"], "five are needed"),
        (["add", "a", "--template", "good"], "needs either --cron or --every"),
        (["add", "a", "--template", "good", "--every", "6"], "write it like 30m, 6h"),
        (["add", "a", "--template", "good", "--every", "6h", "--at", "6"], "like 06:00"),
        (["add", "a", "--template", "weekly", "--every", "6h"], "use one of broken, good"),
        (["add", "a", "--template", "good", "--every", "6h", "-p", "y=1"], "the notebook has x"),
        (["add", "A", "--template", "good", "--every", "6h"], "is not plain"),
        (["remove", "a"], "there is none; add one"),
        (["history", "a"], "there is none; add one"),
        (["run", "--jobs", "0"], "jobs"),
    ],
)
def test_a_wrong_call_exits_2_with_the_mend_and_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], mend: str
) -> None:
    assert call(*arguments) == 2
    said = capsys.readouterr().err
    assert mend in said
    assert said.count("\n") == 1
    assert list(project.glob("home/**/schedules.*")) == []


def test_once_makes_the_good_report_keeps_the_broken_and_ends_the_hanging(
    project: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overdue(folder, "fine", "good", parameters={"x": 41, "symbol": "a=b c"})
    overdue(folder, "broken", "broken")
    overdue(folder, "slow", "hanging", timeout_seconds=5)
    overdue(folder, "gone", "removed-since")
    assert call("run", "--once", "--json", "--jobs", "4") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ended = {one["schedule"]: one for one in lines if one["status"] != "running"}
    assert {name: one["status"] for name, one in ended.items()} == {
        "fine": "ok", "broken": "failed", "slow": "timeout", "gone": "failed",
    }  # fmt: skip
    page = Path(ended["fine"]["html"])
    assert page.parent.parent == project / "reports" / "fine"
    assert "42" in page.with_suffix(".ipynb").read_text()
    assert ended["broken"]["error"] == "code cell 3 of 3: ValueError: no candles today"
    assert "no candles today" in Path(ended["broken"]["html"]).with_suffix(".ipynb").read_text()
    assert "the report ran longer than 5 s and was stopped" in ended["slow"]["error"]
    assert Path(ended["slow"]["html"]).exists()
    assert ended["gone"]["error"].startswith("report 'removed-since' is unknown; use one of")
    assert call("run", "--once") == 0
    assert "nothing is due" in capsys.readouterr().out
    assert call("history", "fine", "--json") == 0
    (one,) = json.loads(capsys.readouterr().out)["runs"]
    assert one == ended["fine"]


@pytest.fixture
def scheduler(project: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a scheduler in a process of its own, busy with a report that hangs."""
    overdue(folder, "slow", "hanging")
    overdue(folder, "fine", "good", added=datetime.now(UTC))
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", "schedule", "run", "--json"],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert (line["schedule"], line["status"]) == ("slow", "running")
    yield process
    process.kill()
    process.communicate(timeout=30)


def test_a_scheduler_killed_in_the_middle_leaves_no_report_and_the_next_one_says_so(
    project: Path, folder: Path, scheduler: subprocess.Popen[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert call("run", "--once") == 2
    assert f"a scheduler runs already (pid {scheduler.pid})" in capsys.readouterr().err
    assert call("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["scheduler_pid"] == scheduler.pid
    until = time.monotonic() + 60
    while not (halves := list(project.glob("reports/slow/.part-*"))) and time.monotonic() < until:
        time.sleep(0.05)
    (half,) = halves
    scheduler.send_signal(signal.SIGKILL)
    scheduler.wait()
    report = History(folder).read()[0].pid
    assert report is not None
    assert call("run", "--once", "--json") == 1
    (ended,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (ended["schedule"], ended["status"]) == ("slow", "interrupted")
    assert not half.exists()
    assert not list(project.glob("reports/slow/*/run.json"))
    assert not alive(report)
    assert call("list") == 0
    assert "slow: its scheduler, or the machine, went down" in capsys.readouterr().out


def test_a_scheduler_that_is_told_to_stop_ends_its_report_and_exits_0(
    project: Path, folder: Path, scheduler: subprocess.Popen[str]
) -> None:
    scheduler.send_signal(signal.SIGTERM)
    out, err = scheduler.communicate(timeout=60)
    assert scheduler.returncode == 0
    assert err == "stopped\n"
    (run,) = History(folder).read()
    assert (run.status, run.error) == (
        Status.INTERRUPTED, "the scheduler was stopped in the middle",
    )  # fmt: skip
    assert json.loads(out)["status"] == "interrupted"
    assert not list(project.glob("reports/slow/.part-*"))
