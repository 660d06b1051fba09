"""Start the Voila page: loopback only, a token always, nothing secret in its arguments or environment.

Voila answers anybody where no token is set, keeps kernels of closed pages, and its template asks a
content network for style sheets. So it runs from a configuration of ours: the token in a file that
only the user reads, culling on, our template, and a policy that forbids the page any other host.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.home import home
from workbench.errors import UsageError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks" / "dashboards"
SHARE = Path(__file__).parent / "share"
PASSED_ON = (
    *(
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "PYTHONPATH",
    ),
    *("LD_LIBRARY_PATH", "VIRTUAL_ENV", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"),
    *("WORKBENCH_BRIDGE_URL", "WORKBENCH_BRIDGE_TOKEN"),
)
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' ws://127.0.0.1:* data: blob:; worker-src 'self' blob:; "
    "frame-ancestors 'self'; base-uri 'self'; form-action 'self'"
)
START_S = 40.0
STOP_S = 8.0
TRIES = 3


@dataclass(frozen=True, slots=True)
class VoilaPage:
    """A running Voila: its address with the token, and the process that serves it."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    log: Path

    @property
    def pid(self) -> int:
        """Return the process id of the Voila server."""
        return self.process.pid

    def stop(self) -> None:
        """End Voila and its kernels, by force after a few seconds; a second call does nothing."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def launch_voila(
    *,
    port: int = 0,
    notebook: Path = NOTEBOOKS / "bridge.ipynb",
    environment: Mapping[str, str] | None = None,
) -> VoilaPage:
    """Start Voila on 127.0.0.1 and return once it answers; port 0 takes a free one.

    Raises UsageError where the notebook is missing, the port is taken or Voila does not come up.
    """
    if not notebook.is_file():
        raise UsageError(f"no dashboard at {notebook}: run this from a checkout of the project")
    for attempt in range(TRIES):
        chosen = port or _free_port()
        try:
            return _launch(chosen, notebook, {**os.environ, **(environment or {})})
        except _PortTakenError:
            if port or attempt == TRIES - 1:
                raise UsageError(
                    f"port {chosen} is taken; choose another with --port, or 0 for any"
                ) from None
    raise AssertionError("unreachable")


class _PortTakenError(Exception):
    """Somebody else listens there."""


def _launch(port: int, notebook: Path, environment: Mapping[str, str]) -> VoilaPage:
    token = secrets.token_urlsafe(24)
    root = (
        Path(environment["WORKBENCH_HOME"]) if "WORKBENCH_HOME" in environment else home()
    ).resolve()
    log = root / "logs" / "voila.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="voila-", dir=root))
    _write_private(folder / "voila.json", json.dumps(_configuration(port, token)))
    if _listens(port):
        shutil.rmtree(folder, ignore_errors=True)
        raise _PortTakenError
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.dashboard.serve", str(notebook)],
            cwd=notebook.parent,
            env=_scrubbed(environment, folder) | {"WORKBENCH_HOME": str(root)},
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    page = VoilaPage(f"http://127.0.0.1:{port}/?token={token}", process, folder, log)
    try:
        _wait_until_up(page, port)
    except BaseException:
        page.stop()
        raise
    return page


def _configuration(port: int, token: str) -> dict[str, object]:
    return {
        "Voila": {
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 0,
            "token": token,
            "open_browser": False,
            "tornado_settings": {"headers": {"Content-Security-Policy": POLICY}},
        },
        "VoilaConfiguration": {"template": "workbench"},
    }


def _scrubbed(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    kept = {name: environment[name] for name in PASSED_ON if name in environment}
    return kept | {
        "JUPYTER_CONFIG_DIR": str(folder),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_PATH": str(SHARE),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(folder / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _wait_until_up(page: VoilaPage, port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if page.process.poll() is not None:
            raise UsageError(f"Voila ended with code {page.process.returncode}; see {page.log}")
        if _answers(port):
            return
        time.sleep(0.1)
    raise UsageError(f"Voila did not answer within {START_S:.0f} s; see {page.log}")


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=2) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
