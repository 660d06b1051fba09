"""The oracle beside a bridge: a real instance's orders and fills, and what a lie in a journal costs."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.embedded import embedded_bridge

CANDLES = 90


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Let an instance trade on a local exchange that keeps its state; give (state, journal)."""
    root = tmp_path_factory.mktemp("audit")
    state = root / "state"
    options = [
        "--data", "synthetic", "--symbols", "BTCUSDT", "--interval", "1h", "--start", "2025-03-01",
        "--end", "2025-03-09", "--pace", "step", "--state", str(state), "--weight-limit", "1000000",
    ]  # fmt: skip
    with embedded_bridge(root / "home", options) as live:
        live.client.start_instance(
            "audited",
            account="paper",
            strategy="ema_cross",
            params={"fast": 2, "slow": 5},
            symbol="BTCUSDT",
            interval="1h",
            capital="9000",
        )
        live.client.wait_until("audited", {"RUNNING"})
        for _ in range(CANDLES):
            now: Any = live.admin("POST", "/admin/advance", {"symbol": "BTCUSDT"})
            opened = now["symbols"]["BTCUSDT"]["candle_open_ms"] - 3_600_000
            assert live.client.settled("audited", opened, timeout_s=30.0)["settled"]
        live.client.stop_instance("audited")
        live.client.wait_until("audited", {"STOPPED"})
    (journal,) = (root / "home").rglob("journal.db")
    return state, journal


def audit(state: Path, journal: Path) -> tuple[int, dict[str, Any]]:
    """Run `bridge audit exchange` and return (exit code, what it printed)."""
    command = [sys.executable, "-m", "bridge.cli", "audit", "exchange", str(state), "--json"]
    done = subprocess.run(
        [*command, "--journal", str(journal)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_bridges_orders_and_fills_are_the_exchanges(traded: tuple[Path, Path]) -> None:
    code, told = audit(*traded)
    assert code == 0
    assert told["broken"] == 0
    assert {name: one["violations"] for name, one in told["invariants"].items()} == {
        "I1": [], "I2": [], "I3": [], "I4": [], "I5": [], "I6": [], "I7": [],
    }  # fmt: skip
    facts = {name: one["checked"] for name, one in told["invariants"].items()}
    assert facts.pop("I4") == 0  # this bridge sends no stops yet
    assert min(facts.values()) >= 4


@pytest.mark.parametrize(
    ("lie", "broken"),
    [
        ("DELETE FROM tickets WHERE rowid = (SELECT min(rowid) FROM tickets)", "I1"),
        ("UPDATE tickets SET quote_e8 = 1, quantity_e8 = 1", "I2"),
        ("DELETE FROM fills WHERE rowid = (SELECT max(rowid) FROM fills)", "I3"),
        ("UPDATE fills SET commission_e8 = commission_e8 + 1", "I3"),
        ("UPDATE instances SET capital_e8 = capital_e8 / 2", "I5"),
        ("UPDATE decisions SET kind = 'stop' WHERE seq = 1", "I6"),
    ],
)
def test_a_journal_that_lies_is_found_out(
    traded: tuple[Path, Path], tmp_path: Path, lie: str, broken: str
) -> None:
    state, journal = traded
    copy = tmp_path / "journal.db"
    with sqlite3.connect(journal) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    with sqlite3.connect(copy) as db:
        db.execute(lie)
    code, told = audit(state, copy)
    assert code == 1
    assert told["invariants"][broken]["violations"]
