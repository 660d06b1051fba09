"""The real processes behind the page, a local exchange and a supervisor, with a home of their own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.client import BridgeClient
from bridge.vault import Vault

PASSPHRASE = "only for this test"
START_S = 60.0


@dataclass(frozen=True, slots=True)
class Bridge:
    """A local exchange and a supervisor that trades on it."""

    home: Path
    exchange: subprocess.Popen[bytes]
    supervisor: subprocess.Popen[bytes]
    client: BridgeClient

    def stop(self) -> None:
        """End both; the supervisor ends its gateway and runners with it."""
        for process in (self.supervisor, self.exchange):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()
                process.wait()


def start_bridge(home: Path, data: Path, *, speed: float) -> Bridge:
    """Start an exchange that replays recorded minutes faster than life, and a bridge with one account."""
    environment = {**os.environ, "WORKBENCH_HOME": str(home)}
    exchange = _spawn(
        [
            *("exchange", "--json", "--ephemeral", "--data", str(data), "--symbols", "BTCUSDT"),
            *("--interval", "1m", "--start", "2025-01-02", "--speed", str(speed)),
        ],
        environment,
        home / "exchange.log",
    )
    told = _first_line(exchange, home / "exchange.log")
    key = told["accounts"][0]
    Vault.create(home / "vault.json", PASSPHRASE).add(
        "paper", "local", key["api_key"], key["secret"]
    )
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE.encode())
    os.close(writing)
    supervisor = _spawn(
        [
            *("serve", "--ephemeral", "--json", "--passphrase-fd", str(reading)),
            *("--venue-url", f"local={told['rest']},{told['ws']}"),
        ],
        environment,
        home / "supervisor.log",
        keep=(reading,),
    )
    os.close(reading)
    address = _first_line(supervisor, home / "supervisor.log")
    return Bridge(home, exchange, supervisor, BridgeClient(address["url"], address["token"]))


def _spawn(
    arguments: list[str], environment: dict[str, str], log: Path, *, keep: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-c", "from bridge.cli import main; main()", *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            pass_fds=keep,
        )


def _first_line(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline()
            if line:
                return json.loads(line)
        if process.poll() is not None:
            break
    process.kill()
    pytest.fail(f"no first line from {process.args}: {log.read_text()[-800:]}")
