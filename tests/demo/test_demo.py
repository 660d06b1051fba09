"""The main job, as a newcomer runs it, and that nothing outlives it."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import shared_path

COMMAND = [sys.executable, "-c", "from workbench.cli import main; main()", "demo"]


def _family(pid: int) -> dict[int, str]:
    """Return all living descendants of a process with their command lines, by id."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
    found: dict[int, str] = {}
    wanted = [pid]
    while wanted:
        parent = wanted.pop()
        for child in [c for c, p in parents.items() if p == parent]:
            wanted.append(child)
            with suppress(OSError):
                found[child] = (
                    Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                )
    return found


def _nothing_left(family: dict[int, str], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while left := {pid: line for pid, line in family.items() if _same(pid, line)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _same(pid: int, line: str) -> bool:
    with suppress(OSError):
        now = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return now == line != ""
    return False


@pytest.mark.slow
def test_once_studies_reports_trades_and_leaves_nothing(tmp_path: Path) -> None:
    shared_path("data/klines_1m_BTCUSDT_2025-01.parquet")
    process = subprocess.Popen(
        [*COMMAND, "--once", "--fills", "3", "--json", "--reports", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    family: dict[int, str] = {}
    deadline = time.monotonic() + 280
    while process.poll() is None and time.monotonic() < deadline:
        family |= _family(process.pid)
        time.sleep(0.2)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert any("bridge.runner" in line for line in family.values())
    _nothing_left(family)
    told = json.loads(output)
    assert round(told["headline"]["honest"]["claimed"]["value"], 2) == 403.90
    assert len(told["trading"]["fills"]) >= 3
    assert [f["side"] for f in told["trading"]["fills"][:3]] == ["BUY", "SELL", "BUY"]
    assert told["trading"]["instance"]["state"] == "RUNNING"
    assert "recorded" in told["trading"]["source"]
    assert Path(told["report"]["html"]).stat().st_size > 10_000
    assert Path(told["report"]["html"]).parent.name in Path(told["report"]["index"]).read_text()


@pytest.mark.slow
def test_ctrl_c_ends_dashboard_bridge_and_exchange(tmp_path: Path) -> None:
    shared_path("data/klines_1m_BTCUSDT_2025-01.parquet")
    process = subprocess.Popen(
        [*COMMAND, "--reports", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = _dashboard_url(process, seconds=200.0)
        with urllib.request.urlopen(url, timeout=60) as page:
            assert page.status == 200
        family = _family(process.pid)
        assert {"exchange", "serve", "bridge.gateway", "bridge.runner"} <= {
            name for line in family.values() for name in line.split()
        }
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    _nothing_left(family)


@pytest.mark.slow
def test_killing_the_demo_ends_what_it_started(tmp_path: Path) -> None:
    shared_path("data/klines_1m_BTCUSDT_2025-01.parquet")
    process = subprocess.Popen(
        [*COMMAND, "--reports", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        _dashboard_url(process, seconds=200.0)
        family = _family(process.pid)
    finally:
        process.kill()
        process.wait()
    assert len(family) >= 5
    _nothing_left(family)


def _dashboard_url(process: subprocess.Popen[str], *, seconds: float) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([process.stdout], [], [], 0.5)[0]:
            line = process.stdout.readline()
            if "Dashboard: " in line:
                return line.split("Dashboard: ")[1].strip()
    pytest.fail(f"no dashboard address; exit code {process.poll()}")
