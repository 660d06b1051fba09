"""A stop-limit, for symbols without plain stops, at the real local exchange: it sells, or is helped when it slips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.exchanges.base import OrderKind, Side
from bridge.exchanges.binance import BinanceExchange
from bridge.gateway import legs
from bridge.gateway.books import Books
from bridge.gateway.desk import OrderDesk
from bridge.gateway.exits import SLIPS_THROUGH, LiveExits
from bridge.gateway.ids import client_order_id
from tests.bridge.doubles import instance_row, journal_in, ticket
from tests.bridge.stage import Market
from tests.bridge.test_resting_at_the_exchange import exchange, last_price
from workbench.core.exits import REASON_STOP
from workbench.market.instruments import SCALE

__all__ = ["exchange"]  # the fixture


class AheadClock(SystemClock):
    """The machine's clock, and what it is put forward."""

    ahead = 0.0

    def elapsed(self) -> float:
        """Return seconds since boot and more."""
        return super().elapsed() + self.ahead


@pytest.mark.parametrize(
    ("below", "kinds"),
    [(0.01, ["STOP_LOSS_LIMIT"]), (-0.02, ["STOP_LOSS_LIMIT", "MARKET"])],
    ids=["1 % below sells", "above the market slips"],
)
async def test_a_stop_limit_sells_by_itself_or_is_helped_after_two_seconds(
    exchange: BinanceExchange,
    market: Market,
    keys: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    below: float,
    kinds: list[str],
) -> None:
    """The price comes to the stop; a limit 2 % above it has no buyer there, so that what is left goes at market."""
    monkeypatch.setattr(legs, "LIMIT_BELOW_STOP", below)
    tag, clock = "00000s1" + str(len(kinds)), AheadClock()
    journal = journal_in(tmp_path)
    journal.write(1, [instance_row(tag=tag, exits="stop=0.1%")])
    rules = await exchange.order_rules("BTCUSDT")
    without = replace(rules, kinds=rules.kinds - {"STOP_LOSS"})
    books = Books(journal)
    book = books.open(journal.instances()[0], await exchange.instrument("BTCUSDT"), without)
    desk = OrderDesk(books, exchange, clock, backend_timeout_ms=1_000)
    exits = LiveExits(book, books, desk, exchange, clock)
    buy = ticket(1, client_order_id=client_order_id(tag, 1, 1))
    book.row = replace(book.row, seq=1)
    books.commit_ticket(book, buy, [book.row], 1)
    await desk.carry_out(book, buy)
    await exits.protect()
    (stop,) = book.exits
    assert stop.kind is OrderKind.STOP_LOSS_LIMIT
    tick_e8 = book.instrument.tick_e8
    assert stop.price_e8 == int(stop.stop_e8 * (1 - below)) // tick_e8 * tick_e8
    for _ in range(400):  # others have moved the market on, perhaps into a rise of days
        market.advance()
        await desk.catch_up(book)
        book.last_price = await last_price(exchange)
        exits.saw_price(book.last_price)
        if not exits.is_open or exits.look_again_in is not None:
            break
    if exits.is_open:
        assert exits.look_again_in == SLIPS_THROUGH
        await exits.hear()
        assert exits.is_open  # not yet
        clock.ahead = SLIPS_THROUGH
        await exits.hear()
    assert not exits.is_open
    assert book.protection.reason == REASON_STOP
    sold = [
        one
        for one in market.orders_of(keys["api_key"])
        if one["side"] == Side.SELL.value and one["client_order_id"].startswith(f"wb-{tag}")
    ]
    assert [one["order_type"] for one in sold] == kinds
    assert (
        [one["status"] for one in sold] == ["FILLED"] if len(kinds) == 1 else ["CANCELED", "FILLED"]
    )
    assert (await exchange.balances())["BTC"].locked_e8 == 0
    assert (await exchange.balances())["BTC"].free_e8 < book.instrument.step_e8 * SCALE // SCALE
    journal.close()
