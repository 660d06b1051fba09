"""What every test shares: where the recorded candles lie, a home for every session, and the two lanes.

`make test` runs in two processes. Rooms that share compiled kernels go together, so that each is compiled
once; rooms that run real processes against the clock go together, so that only one of them does at a
time, beside what computes. The other rooms, and each notebook, go to whichever process is free first.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.analysis import trial_file

ROOT = Path(__file__).resolve().parent.parent
LANES = {
    "compiled": {"analysis", "backtest", "execution", "market", "parity", "strategies"},
    "live": {"bridge", "browser", "dashboard", "demo", "local_exchange"},
}


def pytest_configure() -> None:
    """Hear Ctrl-C: a shell starts what runs in its background deaf to it, children included."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Let `--dist loadscope` keep a lane, or a notebook, in one process; the largest begins."""
    from xdist.scheduler import LoadScopeScheduling

    class Lanes(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]  # tests/ROOM/FILE.py, or notebooks/FILE
            room = file.split("/")[1]
            return next((lane for lane, rooms in LANES.items() if room in rooms), room)

    return Lanes(config, log) if config.getvalue("dist") == "loadscope" else None


def shared_path(relative: str) -> Path:
    """Return a file of the shared folder beside the checkout, or skip the test with the reason."""
    path = ROOT.parent / "shared" / relative
    if not path.exists():
        data = os.environ.get("WORKBENCH_DATA")
        if relative.startswith("data/") and data and (Path(data) / relative[5:]).exists():
            return Path(data) / relative[5:]
        pytest.skip(f"needs shared/{relative} in the folder beside the checkout")
    return path


@pytest.fixture(scope="session", autouse=True)
def workbench_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the session a WORKBENCH_HOME of its own, so that no test touches the user's."""
    home = tmp_path_factory.mktemp("workbench-home")
    home.chmod(0o700)
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(home)
    # Thousands of backtests are counted here, and no power fails: the disk need not have each at once.
    trial_file.SYNCHRONOUS = "NORMAL"
    yield home
    if before is None:
        del os.environ["WORKBENCH_HOME"]
    else:
        os.environ["WORKBENCH_HOME"] = before
