"""What every test shares: where the recorded candles lie, and a home of its own for every session."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Hear Ctrl-C: a shell starts what runs in its background deaf to it, children included."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
    yield home
    if before is None:
        del os.environ["WORKBENCH_HOME"]
    else:
        os.environ["WORKBENCH_HOME"] = before
