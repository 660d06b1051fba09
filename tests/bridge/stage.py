"""The real processes on a stage: local exchange, supervisor, gateways and runners, each started and killed for real."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.client import BridgeClient
from bridge.vault import Cost, Vault

PASSPHRASE = "correct horse battery"
CHEAP = Cost(iterations=1, memory_kib=64, lanes=1)
FAST = {"fast": 3, "slow": 7, "signal": 3}


@dataclass
class Market:
    """A running local exchange in step pace."""

    process: subprocess.Popen[str]
    told: dict[str, Any]

    @classmethod
    def start(cls, *, accounts: int, keys_file: Path, more: tuple[str, ...] = ()) -> Market:
        """Start it on recorded 1h candles and wait until it listens.

        Hours pass in seconds here, so the limits on weight and orders are those of hours.
        """
        command = [
            sys.executable, "-m", "bridge.cli", "exchange", "--port", "0", "--json", "--ephemeral",
            "--symbols", "BTCUSDT", "--interval", "1h", "--start", "2024-10-01", "--pace", "step",
            "--balance", "USDT=10000", "--accounts", str(accounts), "--keys-file", str(keys_file),
            "--weight-limit", "100000", "--order-limit", "100000", *more,
        ]  # fmt: skip
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return cls(process, json.loads(first_line(process)))

    def advance(self) -> int:
        """Play one candle to its close; return the market's time."""
        status = self.admin("POST", "/admin/advance", {"symbol": "BTCUSDT"})
        return int(status["symbols"]["BTCUSDT"]["now_ms"])

    def orders_of(self, api_key: str) -> list[dict[str, Any]]:
        """Return every order that the exchange ever accepted from one key."""
        truth = self.admin("GET", "/admin/truth", None)
        name = next(one["name"] for one in truth["accounts"] if one["api_key"] == api_key)
        return [order for order in truth["orders"] if order["account"] == name]

    def balances_of(self, api_key: str) -> dict[str, dict[str, str]]:
        """Return the exchange's own balances of one key's account."""
        truth = self.admin("GET", "/admin/truth", None)
        return next(one["balances"] for one in truth["accounts"] if one["api_key"] == api_key)

    def fault(self, **plan: Any) -> None:
        """Plan one fault."""
        self.admin("POST", "/admin/faults", plan)

    def clear_faults(self) -> None:
        """Forget all faults."""
        self.admin("DELETE", "/admin/faults", None)

    def admin(self, method: str, path: str, body: Any) -> Any:
        """Ask the operator's routes."""
        request = urllib.request.Request(
            self.told["rest"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Admin-Token": self.told["admin_token"], "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from None

    def end(self) -> None:
        """Stop it."""
        end_process(self.process)


@dataclass
class Stage:
    """One account of the market, and the bridge that trades it, in a home of its own."""

    home: Path
    market: Market
    keys: dict[str, str]
    supervisor: subprocess.Popen[str] | None = None
    pids: set[int] = field(default_factory=set)
    port: int = 0  # of a proxy before the market

    def make_vault(self) -> None:
        """Store the account's keys."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        vault = Vault.create(self.home / "vault.json", PASSPHRASE, cost=CHEAP)
        vault.add("paper", "local", self.keys["api_key"], self.keys["secret"])

    def serve(
        self, *, ephemeral: bool = True, crash_at: str = "", locked: bool = False
    ) -> dict[str, Any]:
        """Start the supervisor and return its first line."""
        reading, writing = os.pipe()
        os.write(writing, PASSPHRASE.encode() + b"\n")
        os.close(writing)
        port = self.port or int(self.market.told["rest"].rsplit(":", 1)[1])
        venue = f"local=http://127.0.0.1:{port},ws://127.0.0.1:{port}"
        command = [sys.executable, "-m", "bridge.cli", "serve", "--json", "--venue-url", venue]
        command += ["--locked"] if locked else ["--passphrase-fd", str(reading)]
        command += ["--ephemeral"] if ephemeral else []
        environment = {
            **os.environ,
            "WORKBENCH_HOME": str(self.home),
            "WORKBENCH_CRASH_AT": crash_at,
        }
        self.supervisor = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(reading,),
            env=environment,
        )
        os.close(reading)
        return json.loads(first_line(self.supervisor))

    @property
    def client(self) -> BridgeClient:
        """Return a client of the supervisor that runs now."""
        return BridgeClient.from_home(self.home)

    def wait_connected(self, timeout: float = 60.0) -> int:
        """Return the gateway's pid once its account is connected."""
        end = time.monotonic() + timeout
        while True:
            account = next(one for one in self.client.accounts() if one["name"] == "paper")
            if account["state"] == "RUNNING":
                self.pids.add(account["gateway_pid"])
                return int(account["gateway_pid"])
            assert time.monotonic() < end, f"account not connected: {account}"
            time.sleep(0.1)

    def start(self, name: str, **more: Any) -> dict[str, Any]:
        """Start the quick MACD instance and wait until it trades."""
        wish = {
            "account": "paper", "strategy": "macd", "symbol": "BTCUSDT", "interval": "1h", "capital": 1000,
            "params": FAST, **more,
        }  # fmt: skip
        self.client.start_instance(name, **wish)
        return self.client.wait_until(name, {"RUNNING"}, timeout_s=60)

    def step(self, name: str) -> dict[str, Any]:
        """Advance the market by one candle and wait until the instance has settled it."""
        now_ms = self.market.advance()
        candle_ms = now_ms - 3_600_000
        one = self.client.settled(name, candle_ms, timeout_s=20)
        assert one["last_candle_ms"] >= candle_ms, one
        assert one["settled"], one
        return one

    def step_until_fills(self, name: str, count: int, most: int = 120) -> list[dict[str, Any]]:
        """Step until the instance has that many fills."""
        for _ in range(most):
            fills = self.client.fills(name)
            if len(fills) >= count:
                return fills
            self.step(name)
        raise AssertionError(f"{len(fills)} fills after {most} candles")

    def end(self) -> None:
        """Stop everything that is left."""
        if self.supervisor is not None:
            end_process(self.supervisor)
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line of a process's output, or fail with its last words."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"it ended with {process.wait(10)}: {process.stderr.read()[-2000:]}")
    return line


def end_process(process: subprocess.Popen[str]) -> None:
    """Close its stdin and wait; kill it when it does not go."""
    if process.stdin:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(8)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
