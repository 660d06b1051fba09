"""Kill scheduler and reports at random moments: no report is doubled, lost or taken as good when half."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.report.notebook_builder import write_report
from workbench.schedule.book import Book, new_schedule
from workbench.schedule.history import History

ROUNDS = 12


@pytest.mark.proof
def test_kills_at_random_moments_leave_reports_and_log_of_one_mind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(tmp_path / "notebooks" / "reports", "good", "x + 1")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "schedules"
    for name in ("a", "b"):
        Book(folder).add(
            new_schedule(
                name=name, report="good", every_seconds=60, grace_seconds=7_200,
                timeout_seconds=300, project=str(tmp_path), out=str(tmp_path / "reports"),
                added=datetime.now(UTC) - timedelta(minutes=1),
            )
        )  # fmt: skip
    chance = random.Random(7)
    command = [sys.executable, "-m", "workbench.cli", "schedule", "run"]
    for _ in range(ROUNDS):
        scheduler = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(1, 30))
        going = [run.pid for run in History(folder).read() if not run.over and run.pid]
        if going and chance.random() < 0.4:
            with suppress(ProcessLookupError):
                os.kill(going[-1], signal.SIGKILL)
            time.sleep(1)
        scheduler.kill()
        scheduler.wait()
    last = subprocess.run([*command, "--once"], cwd=tmp_path, capture_output=True, text=True)
    assert last.returncode in (0, 1), last.stderr

    runs = History(folder).read()
    dues = Counter((run.schedule, run.due) for run in runs if run.ok)
    assert max(dues.values(), default=0) <= 1, "a report was made twice"
    assert all(run.over for run in runs)
    made = {str(path.parent / "good.html") for path in tmp_path.glob("reports/*/*/run.json")}
    assert made == {run.html for run in runs if run.ok}
    assert list(tmp_path.glob("reports/*/.part-*")) == []
