"""The embedded default: a local exchange and a bridge that trades on it, bound to this process.

Both are the real programs in processes of their own, with a throw-away account in a throw-away
vault. They end when this process ends, however it ends: their standard input is a pipe from here.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.client import BridgeClient
from bridge.vault import Vault
from workbench.errors import ExchangeError

ACCOUNT = "paper"
START_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class EmbeddedBridge:
    """A running local exchange and supervisor; `home` is where the supervisor keeps its state."""

    home: Path
    client: BridgeClient
    token: str = field(repr=False)
    rest: str
    admin_token: str = field(repr=False)
    market: dict[str, Any]
    exchange: subprocess.Popen[str]
    supervisor: subprocess.Popen[str]

    def admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call an admin route of the exchange, e.g. POST /admin/advance."""
        request = urllib.request.Request(
            self.rest + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"X-Admin-Token": self.admin_token, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def environment(self) -> dict[str, str]:
        """Return the environment for other programs that belong to this bridge."""
        return {**os.environ, "WORKBENCH_HOME": str(self.home)}


@contextmanager
def embedded_bridge(home: Path, exchange_options: Sequence[str]) -> Iterator[EmbeddedBridge]:
    """Start exchange and supervisor, yield them, and end both with all that they started.

    `exchange_options` are those of `bridge exchange`, e.g. ["--symbols", "BTCUSDT"]. Raises
    ExchangeError with the program's own last words where one does not start.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {**os.environ, "WORKBENCH_HOME": str(home)}
    with ExitStack() as stack:
        command = ["exchange", "--json", "--ephemeral", *exchange_options]
        exchange = _start(command, environment, home / "exchange.log")
        stack.callback(_end, exchange)
        told = _first_line(exchange, home / "exchange.log")
        supervisor = _start_supervisor(home, environment, told)
        stack.callback(_end, supervisor)
        address = _first_line(supervisor, home / "supervisor.log")
        client = BridgeClient(address["url"], address["token"])
        _until_running(client, home)
        yield EmbeddedBridge(
            home=home,
            client=client,
            token=address["token"],
            rest=told["rest"],
            admin_token=told["admin_token"],
            market=told["market"],
            exchange=exchange,
            supervisor=supervisor,
        )


def _start_supervisor(
    home: Path, environment: dict[str, str], told: dict[str, Any]
) -> subprocess.Popen[str]:
    passphrase = secrets.token_urlsafe(32)
    key = told["accounts"][0]
    vault = Vault.create(home / "vault.json", passphrase)
    vault.add(ACCOUNT, "local", key["api_key"], key["secret"])
    reading, writing = os.pipe()
    try:
        os.write(writing, passphrase.encode())
        os.close(writing)
        command = ["serve", "--ephemeral", "--json", "--passphrase-fd", str(reading)]
        command += ["--venue-url", f"local={told['rest']},{told['ws']}"]
        return _start(command, environment, home / "supervisor.log", keep=(reading,))
    finally:
        os.close(reading)


def _start(
    arguments: Sequence[str], environment: dict[str, str], log: Path, *, keep: tuple[int, ...] = ()
) -> subprocess.Popen[str]:
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "bridge.cli", *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            pass_fds=keep,
            process_group=0,  # Ctrl-C on the terminal is for us; we end them in order
        )


def _first_line(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([process.stdout], [], [], 0.1)[0]:
            line = process.stdout.readline()
            if line:
                found: dict[str, Any] = json.loads(line)
                return found
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing"]
    raise ExchangeError(f"{log.stem} did not start; it said: {said[-1]}; see {log}")


def _until_running(client: BridgeClient, home: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        account = client.accounts()[0]
        if account["state"] == "RUNNING":
            return
        if time.monotonic() > deadline:
            alarms = "; ".join(account["alarms"]) or "no alarm"
            raise ExchangeError(
                f"the gateway is {account['state']} ({alarms}); see {home / 'logs'}"
            )
        time.sleep(0.05)


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
