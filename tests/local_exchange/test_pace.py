"""The clock's pace, in a time of its own: prints come when due, and the open is held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bridge.local_exchange import pace
from bridge.local_exchange.accounts import Accounts, generate
from bridge.local_exchange.replay import Played
from bridge.local_exchange.settings import Pace, Settings
from bridge.local_exchange.venue import Venue
from tests.local_exchange.conftest import FIRST, START_MS, Opener, made_up
from workbench.execution.matching.tape import Tape
from workbench.execution.orders import Report
from workbench.market.candles import Candles
from workbench.market.instruments import KNOWN, instrument


class VirtualClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def wall_ms(self) -> int:
        return int(self.now * 1000)

    def elapsed(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Diary:
    """Writes down when each print was made: (elapsed since the start, market ms since the first)."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.opens: list[float] = []
        self.times: list[float] = []
        self.market_ms: list[int] = []

    def on_print(self, symbol: str, played: Played) -> None:
        self.times.append(self._clock.now - 100.0)
        self.market_ms.append(played.printed.time_ms)
        if played.opens:
            self.opens.append(self._clock.now - 100.0)

    def on_reports(self, reports: tuple[Report, ...], now_ms: int) -> None: ...


async def played(*series: Candles, speed: float, hold_s: float) -> Diary:
    clock = VirtualClock()
    diary = Diary(clock)
    settings = Settings(speed=speed, hold_s=hold_s)
    markets = {
        name: (instrument(name), Tape(replace(candles, symbol=name)), candles.first)
        for name, candles in zip(KNOWN, series, strict=False)
    }
    venue = Venue(settings, Accounts(generate(1)), markets, diary)
    await pace.run(venue, clock, pace.market_clock(venue, clock))
    assert venue.ended
    return diary


async def test_a_minute_takes_a_second_at_sixty_times_life() -> None:
    diary = await played(made_up(FIRST + 4), speed=60, hold_s=0.05)
    assert diary.opens == pytest.approx([1.0, 2.0, 3.0], abs=0.001)
    assert diary.times[:3] == pytest.approx([1 / 3, 2 / 3, 1.0], abs=0.001)


async def test_the_open_is_held_even_when_candles_rush_by() -> None:
    diary = await played(made_up(FIRST + 4), speed=60_000, hold_s=0.05)
    assert np.diff(diary.opens).min() >= 0.05 - 1e-9
    assert diary.opens[-1] < 0.2


async def test_a_gap_in_the_tape_is_not_waited_for() -> None:
    whole = made_up(FIRST + 8)
    kept = np.delete(whole.records, slice(FIRST + 2, FIRST + 6))
    candles = Candles(whole.symbol, whole.timeframe, kept, FIRST, whole.source)
    diary = await played(candles, speed=60, hold_s=0.0)
    assert diary.opens == pytest.approx([1.0, 2.0, 3.0], abs=0.01)


async def test_symbols_share_one_market_clock() -> None:
    both = made_up(FIRST + 5), made_up(FIRST + 5, seed=2)
    diary = await played(*both, speed=60, hold_s=0.05)
    assert diary.market_ms == sorted(diary.market_ms)
    assert diary.opens == pytest.approx([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0], abs=0.001)


async def test_a_gap_of_one_symbol_alone_is_waited_out() -> None:
    whole = made_up(FIRST + 5)
    kept = np.delete(whole.records, FIRST + 2)
    gappy = Candles(whole.symbol, whole.timeframe, kept, FIRST, whole.source)
    diary = await played(gappy, made_up(FIRST + 5, seed=2), speed=60, hold_s=0.0)
    assert diary.market_ms == sorted(diary.market_ms)
    assert diary.opens == pytest.approx([1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 4.0], abs=0.001)


async def test_the_replay_moves_by_itself_and_cannot_be_stepped(open_exchange: Opener) -> None:
    async with open_exchange(pace=Pace.TIME, speed=3_000.0, hold_s=0.0) as local:
        refused = await local.admin("POST", "/admin/advance")
        assert "--pace step" in refused["error"]  # type: ignore[index]
        async with local.http.ws_connect(f"{local.running.ws}/ws/btcusdt@kline_1m") as socket:
            closed = []
            while len(closed) < 3:
                frame = await socket.receive_json(timeout=5)
                closed += [frame["k"]["t"]] if frame["k"]["x"] else []
    assert np.diff(closed).tolist() == [60_000, 60_000]
    assert closed[0] >= START_MS + FIRST * 60_000
