"""What the widgets say: rows, figures, tones, questions, and text that stays text."""

from __future__ import annotations

import re

import pytest
from fake_bridge import FakeBridge

from bridge.dashboard.fills import FillsTable
from bridge.dashboard.instances import InstanceFacts, InstancesTable, facts_of, row_of
from bridge.dashboard.static_files import STATIC
from bridge.dashboard.status import StatusBar
from bridge.dashboard.wording import amount, base_asset, moment, price_decimals, quantity, signed

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def instance() -> dict:
    """Return an instance that has just begun."""
    bridge = FakeBridge(candles_per_s=0)
    return bridge.start_instance(
        name="macd-btc-1",
        account="paper",
        strategy="macd",
        params={"fast": 12},
        symbol="BTCUSDT",
        interval="1m",
        capital=1000.0,
    )


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (amount(1234567.891), "1,234,567.89"),
        (amount(-0.5), "−0.50"),
        (amount(None), "–"),
        (amount(float("nan")), "–"),
        (signed(12.345), "+12.35"),
        (signed(-12.345, 1), "−12.3"),
        (signed(0.001), "0.00"),
        (signed(1.5, suffix=" %"), "+1.50 %"),
        (quantity(0.01050948), "0.01050948"),
        (quantity(10000.0), "10,000"),
        (quantity(0.0), "0"),
        (moment(1_735_776_000_000), "2025-01-02 00:00"),
        (base_asset("BTCUSDT"), "BTC"),
        (base_asset("ETHBTC"), "ETH"),
        (price_decimals(94_000.0), 2),
        (price_decimals(0.5123), 4),
    ],
)
def test_numbers_and_times_read_alike_everywhere(shown: object, text: object) -> None:
    assert shown == text


def test_a_profit_is_green_and_a_loss_is_red(instance: dict) -> None:
    tones = [
        next(
            c["tone"]
            for c in row_of({**instance, "pnl": pnl, "pnl_pct": pnl})["cells"]
            if "+" in c["text"] or "−" in c["text"]
        )
        for pnl in (1.0, -1.0)
    ]
    assert tones == ["up", "down"]
    assert [
        f["tone"]
        for f in facts_of({**instance, "pnl": 0.0, "pnl_pct": 0.0})
        if f["label"] == "Profit / loss"
    ] == [""]


def test_a_stop_asks_first_and_says_what_becomes_of_the_position(instance: dict) -> None:
    row = row_of({**instance, "quantity": 0.0105, "entry_price": 94_000.0})
    assert row["can_stop"]
    assert "macd-btc-1" in row["question"]
    assert row["flatten"] == "Stop and sell 0.0105 BTC"
    assert row["keep"] == "Stop and keep 0.0105 BTC"


def test_dust_is_not_a_position(instance: dict) -> None:
    row = row_of({**instance, "quantity": 0.0000005, "entry_price": None})
    assert row["cells"][3] == {"text": "flat", "small": "dust 0.0000005", "tone": "muted"}
    assert row["flatten"] == "Stop, staying flat"


def test_a_stopped_instance_is_not_offered_a_stop(instance: dict) -> None:
    row = row_of({**instance, "state": "STOPPED"})
    assert not row["can_stop"]
    assert row["ended"]


def test_an_instance_of_which_nothing_is_known_yet_is_still_shown(instance: dict) -> None:
    unknown = dict.fromkeys(
        ["cash", "quantity", "entry_price", "last_price", "equity", "pnl", "pnl_pct", "fees"]
    )
    unknown |= dict.fromkeys(["trades", "bars", "target", "last_candle_ms", "started_ms", "reason"])
    row = row_of({**instance, **unknown, "state": "STARTING"})
    assert [cell["text"] for cell in row["cells"]][3:] == ["flat", "–", "–", "–", "–"]


def test_a_card_says_which_guards_are_on_and_what_they_refused(instance: dict) -> None:
    """Without guards it says nothing of them."""
    labels = [fact["label"] for fact in facts_of(instance)]
    assert "Buys refused" not in labels
    last = {"open_time_ms": 1_735_776_000_000, "guard": "daily_loss", "note": "so"}
    guarded = {**instance, "guards": "daily_loss=5%", "guarded": 3, "last_guarded": last}
    told = {fact["label"]: fact["text"] for fact in facts_of(guarded)}
    assert told["Buys refused"] == "3"
    assert told["Last refused by"] == "daily_loss, 2025-01-02 00:00"
    bare = facts_of({**instance, "exposed_if_down": 399.5})
    assert {"label": "Unprotected if down", "text": "399.50"} in bare
    assert "Unprotected if down" not in labels
    quiet = {fact["label"]: fact["text"] for fact in facts_of({**guarded, "last_guarded": None})}
    assert quiet["Last refused by"] == "–"
    facts = InstanceFacts()
    facts.show(guarded)
    assert "guards daily_loss=5%" in facts.note


def test_running_instances_come_before_those_that_ended(instance: dict) -> None:
    table = InstancesTable()
    table.show([{**instance, "name": "old", "state": "STOPPED"}, {**instance, "name": "new"}])
    assert [row["name"] for row in table.rows] == ["new", "old"]
    assert table.note == "1 running of 2"


def test_only_a_confirmed_stop_with_a_known_policy_is_heard(instance: dict) -> None:
    table = InstancesTable()
    heard: list[tuple[str, str]] = []
    table.on_stop(lambda name, policy: heard.append((name, policy)))
    for policy in ("flatten", "keep", "everything", None):
        table._handle_custom_msg({"kind": "stop", "name": "a", "policy": policy}, [])
    assert heard == [("a", "flatten"), ("a", "keep")]


def test_fills_are_shown_newest_first_at_the_market_time() -> None:
    bridge = FakeBridge(fill_every=1)
    bridge._seen = lambda name: 302  # type: ignore[method-assign]
    table = FillsTable()
    table.show(bridge.fills("a", after=0))
    assert [row["id"] for row in table.rows] == ["2", "1"]
    newest = [cell["text"] for cell in table.rows[0]["cells"]]
    assert newest[:3] == ["2025-01-02 05:02", "sell", "0.01052"]


def test_alarms_a_lock_and_the_last_problem_reach_the_top_bar() -> None:
    bar = StatusBar()
    account = {
        "name": "a",
        "venue": "local",
        "state": "RUNNING",
        "balances": {},
        "alarms": [HOSTILE],
    }
    bar.show([account], locked=True, problem="stop failed")
    assert [one["text"] for one in bar.messages] == [
        "stop failed",
        "The supervisor is locked; unlock it with `bridge unlock`.",
        f"a: {HOSTILE}",
    ]


def test_no_script_writes_markup_from_text() -> None:
    scripts = sorted(STATIC.glob("*.js"))
    assert len(scripts) >= 6
    writes = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment"
    )
    assert [path.name for path in scripts if writes.search(path.read_text())] == []


def test_no_script_or_style_names_another_host() -> None:
    named = re.compile(r"https?://|//cdn|@import|url\(")
    files = [path for path in STATIC.iterdir() if path.suffix in (".js", ".css")]
    assert [path.name for path in files if named.search(path.read_text())] == []
