"""`bridge exchange` as its users start it: one line that says everything, and a clean end."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import COMMANDS
from bridge.local_exchange.accounts import from_file
from bridge.local_exchange.settings import Settings, parse_balances, parse_hold
from workbench.command_table import run
from workbench.errors import UsageError

COMMAND = [sys.executable, "-m", "bridge.cli", "exchange", "--json", "--pace", "step"]
SYNTHETIC = [
    "--data",
    "synthetic",
    "--interval",
    "1h",
    "--start",
    "2025-03-01",
    "--end",
    "2025-03-03",
]


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    process = subprocess.Popen(
        [*COMMAND, *SYNTHETIC, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_line_says_where_and_with_which_keys_and_a_signal_ends_it_cleanly(
    number: signal.Signals,
) -> None:
    with started() as (process, said):
        assert said["rest"].startswith("http://127.0.0.1:")
        assert said["ws"] == said["rest"].replace("http", "ws", 1)
        assert [set(one) for one in said["accounts"]] == [{"api_key", "secret", "type"}]
        assert said["market"]["source"].startswith("SYNTHETIC")
        assert said["market"]["start_ms"] == 1_740_787_200_000  # 2025-03-01T00:00Z
        with urllib.request.urlopen(f"{said['rest']}/api/v3/ping", timeout=5) as answer:
            assert json.load(answer) == {}
        process.send_signal(number)
        assert process.wait(timeout=30) == 0


def test_an_ephemeral_exchange_ends_with_its_standard_input() -> None:
    with started("--ephemeral") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        assert process.wait(timeout=30) == 0


def test_a_keys_file_is_private_and_keeps_the_keys_over_a_restart(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    made, read = from_file(keys, 2), from_file(keys, 2)
    assert [one.published() for one in made] == [one.published() for one in read]
    assert len({one.api_key for one in made}) == 2
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert made[0].secret not in repr(made[0])


def test_a_keys_file_that_others_can_read_or_that_is_something_else_is_refused(
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text("[]")
    keys.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        from_file(keys, 1)
    keys.chmod(0o600)
    with pytest.raises(UsageError, match="delete it to have a new one made"):
        from_file(keys, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pace", "waltz"], "must be time or step"),
        (["--data", "no-such-folder"], "no such folder"),
    ],
)
def test_a_wrong_option_is_told_in_one_line_with_the_mend(options: list[str], message: str) -> None:
    done = subprocess.run(
        [*COMMAND, *SYNTHETIC, *options], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_options_are_read_exactly() -> None:
    assert parse_balances("USDT=10000,btc=0.1") == (("USDT", 10**12), ("BTC", 10**7))
    assert (parse_hold("50ms"), parse_hold("0.2s")) == (0.05, 0.2)
    with pytest.raises(UsageError, match="write a time like 50ms"):
        parse_hold("soon")
    for text in ("USDT=-1", "USDT=1e", "=5", "USDT=0.000000001", "USDT"):
        with pytest.raises(UsageError, match="write"):
            parse_balances(text)


@pytest.mark.parametrize(
    "change", [{"speed": 0.0}, {"fee_bps": -1.0}, {"accounts": 0}, {"symbols": ()}]
)
def test_settings_that_cannot_work_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Settings(**change)


def test_the_whole_command_line_of_the_readme_runs(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\nmatch = "GET /api/v3/time"\ndo = "status"\nstatus = 500\n')
    more = ["--speed", "60", "--seed", "7", "--balance", "USDT=10000,BTC=0.1", "--pace", "time"]
    more += ["--port", "0", "--symbols", "BTCUSDT,ETHUSDT", "--faults", str(plan)]
    more += ["--accounts", "3", "--key-types", "HMAC,ED25519,RSA", "--fine", "1m"]
    with started(*more) as (_, said):
        assert [one["type"] for one in said["accounts"]] == ["HMAC", "ED25519", "RSA"]
        assert said["market"]["symbols"] == ["BTCUSDT", "ETHUSDT"]
        assert "SYNTHETIC 1m path inside 1h candles" in said["market"]["source"]
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(f"{said['rest']}/api/v3/time", timeout=5)
        with urllib.request.urlopen(f"{said['rest']}/api/v3/time", timeout=5) as answer:
            assert json.load(answer)["serverTime"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--time", "then"], "must be tape or now"),
        (["--port", "99999"], "must lie in 0..65535"),
        (["--port", "-1"], "must lie in 0..65535"),
        (["--speed", "inf"], "above 0 and finite"),
        (["--state", f"{__file__}/state"], "name another with --state"),
        (["--time", "now", "--speed", "60"], "as fast as life"),
        (["--key-types", "HMAC,EC"], "HMAC,ED25519,RSA"),
        (["--faults", "no-such-plan.toml"], "no-such-plan.toml"),
        (["--trades", "no-such-trades.csv"], "no-such-trades.csv"),
        (["--share", "0"], "at most 100"),
        (["--fine", "7m"], "unknown interval"),
        (["--permissions", "enableEverything=true"], "enableWithdrawals"),
    ],
)
def test_an_option_that_makes_no_sense_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert run("bridge", COMMANDS, "", ["exchange", *SYNTHETIC, *options]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1
