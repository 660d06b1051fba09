"""The start form: what was typed becomes a request, or one line that says what is wrong."""

from __future__ import annotations

import pytest
from fake_bridge import MACD

from bridge.dashboard.start_form import StartForm, StartRequest, read_request, suggest_name
from workbench.errors import UsageError

TYPED = {
    "strategy": "macd",
    "symbol": "BTCUSDT",
    "interval": "1m",
    "account": "paper",
    "capital": "1,000",
    "name": "",
    "params": {"fast": "12", "slow": "26", "signal": "9"},
}


def test_typed_text_becomes_a_request_with_numbers() -> None:
    assert read_request(TYPED, [MACD], suggested="macd-btc-1") == StartRequest(
        name="macd-btc-1",
        account="paper",
        strategy="macd",
        params={"fast": 12, "slow": 26, "signal": 9},
        symbol="BTCUSDT",
        interval="1m",
        capital=1000.0,
    )


def test_exits_and_guards_are_passed_on_as_they_were_typed() -> None:
    typed = {**TYPED, "exits": " stop=2%,time_stop=48 ", "guards": " daily_loss=5% "}
    request = read_request(typed, [MACD], suggested="one")
    assert (request.exits, request.guards) == ("stop=2%,time_stop=48", "daily_loss=5%")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Ünïcode <b>"}, "name 'Ünïcode <b>'"),
        ({"strategy": "nope"}, "strategy 'nope' is not offered"),
        ({"account": ""}, "no account"),
        ({"capital": "0"}, "capital 0 must be above 0"),
        ({"capital": "lots"}, "capital 'lots' is not a number"),
        ({"capital": "nan"}, "capital nan is not a finite number"),
        ({"capital": "inf"}, "capital inf is not a finite number"),
        ({"symbol": "DOGE"}, "symbol 'DOGE' is not known"),
        ({"interval": "7m"}, "timeframe '7m' is not known"),
        ({"params": {"fast": "12.5"}}, "fast 12.5 must be a whole number"),
        ({"params": {"fast": "1"}}, "fast 1 lies outside 2 to 50"),
        ({"params": {"slow": "1e9"}}, "slow 1e+09 lies outside 3 to 200"),
        ({"params": {"slow": ""}}, "slow '' is not a number"),
    ],
)
def test_a_slip_is_answered_in_one_line(change: dict, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_request({**TYPED, **change}, [MACD], suggested="macd-btc-1")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_suggested_name_is_free() -> None:
    assert suggest_name("macd", "BTCUSDT", ["macd-btc-1", "macd-btc-3"]) == "macd-btc-2"
    assert suggest_name("macd", "ETHUSDT", ["macd-btc-1"]) == "macd-eth-1"


def offered_form() -> StartForm:
    """Return a form with a strategy and an account."""
    form = StartForm()
    form.offer([MACD])
    form.show([{"name": "paper", "venue": "local"}], ["macd-btc-1"])
    return form


def test_the_form_offers_strategies_accounts_and_a_name() -> None:
    form = offered_form()
    assert [p["name"] for p in form.specs[0]["parameters"]] == ["fast", "slow", "signal"]
    assert form.accounts == [{"value": "paper", "label": "paper · local"}]
    assert form.suggested == "macd-btc-2"
    form.values = {**form.values, "symbol": "XRPUSDT"}
    assert form.suggested == "macd-xrp-1"


def test_a_second_click_while_the_bridge_works_starts_nothing() -> None:
    form = offered_form()
    asked: list[StartRequest] = []
    form.on_start(asked.append)
    for _ in range(2):
        form._handle_custom_msg({"kind": "start", "fields": TYPED}, [])
    assert len(asked) == 1
    assert form.busy


def test_a_wrong_form_is_not_sent_and_can_be_sent_again() -> None:
    form = offered_form()
    asked: list[StartRequest] = []
    form.on_start(asked.append)
    form._handle_custom_msg({"kind": "start", "fields": {**TYPED, "capital": "-1"}}, [])
    assert form.error == "capital -1 must be above 0"
    assert not form.busy
    form._handle_custom_msg({"kind": "start", "fields": TYPED}, [])
    assert form.error == ""
    assert len(asked) == 1


def test_the_bridge_s_refusal_is_shown_in_one_line_and_keeps_the_name() -> None:
    form = offered_form()
    form.values = {**form.values, "name": "mine"}
    form.busy = True
    form.answered("name taken\n  choose another")
    assert form.error == "name taken choose another"
    assert form.values["name"] == "mine"
    form.answered("")
    assert "name" not in form.values
