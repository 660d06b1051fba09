"""A strategy that lays the ladder of a script: rungs that are wanted from one candle until another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.candle_builders import START_MS
from tests.naive_exits import Rules as GuardRules
from tests.naive_ladder import LadderBook, Levels, Rules, Wish, run_ladder
from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe
from workbench.strategies import own
from workbench.strategies.spec import Spec

RUNGS, TARGETS = 10, 3
HOUR_MS = 3_600_000
NO_LEVELS = Levels()
Bar = tuple[float, ...]  # open, high, low, close[, volume[, missing before]]


@dataclass(frozen=True)
class Scripted:
    """A rung that is wanted at the closes of candles `begin` to `end` (not included), counted from 0."""

    begin: int
    end: int
    id: int
    side: int
    price: float
    quote: float
    pair: float

    @property
    def wish(self) -> Wish:
        return Wish(self.id, self.side, self.price, self.quote, self.pair)


@dataclass(frozen=True)
class Script:
    """Rungs, targets as (candle, target), and the levels that the decision writes at every close."""

    rungs: tuple[Scripted, ...]
    targets: tuple[tuple[int, float], ...] = ()
    levels: Levels = NO_LEVELS

    def params(self) -> dict[str, float]:
        """Return the script as the scripted strategy's parameters."""
        said: dict[str, float] = {
            "stop": self.levels.stop or 0.0, "take_profit": self.levels.take_profit or 0.0,
        }  # fmt: skip
        for k, one in enumerate(self.rungs):
            fields = ("begin", "end", "id", "side", "price", "quote", "pair")
            said |= {f"{name}{k}": getattr(one, name) for name in fields}
        for k, (at, target) in enumerate(self.targets):
            said |= {f"at{k}": at, f"target{k}": target}
        return said

    def oracle(
        self, candles: Candles, *, cash: float, rules: Rules, guards: GuardRules | None = None
    ) -> LadderBook:
        """Trade the script slowly."""
        count = len(candles.records)
        changes = {t for one in self.rungs for t in (one.begin, one.end)}
        ladders = [
            [one.wish for one in self.rungs if one.begin <= t < one.end] if t in changes else None
            for t in range(count)
        ]
        targets = [dict(self.targets).get(t) for t in range(count)]
        finer = None
        if candles.fine is not None:
            span = candles.timeframe.mean_ms
            finer = [
                [
                    _bar(part)
                    for part in candles.fine.records
                    if 0 <= part["open_time"] - row["open_time"] < span
                ]
                for row in candles.records
            ]
        return run_ladder(
            [_bar(row) for row in candles.records], ladders, targets, cash=cash, rules=rules,
            levels=self.levels, finer=finer, guards=guards, times=candles.records["open_time"].tolist(),
        )  # fmt: skip


def _bar(row: np.void) -> tuple[float, float, float, float, float, int]:
    names = ("open", "high", "low", "close", "volume", "missing_before")
    return tuple(row[name].item() for name in names)  # type: ignore[return-value]


def scripted() -> Spec:
    """Return the strategy that lays a script."""
    return own.build("scripted", _text())


def bars(*prices: Bar, symbol: str = "BTCUSDT") -> Candles:
    """Return hourly candles from (open, high, low, close[, volume[, missing before]])."""
    whole = np.array([(*one, *(10.0, 0)[len(one) - 4 :]) for one in prices], np.float64)
    missing = whole[:, 5].astype(np.int64)
    times = START_MS + (np.arange(len(whole)) + np.cumsum(missing)) * HOUR_MS
    timeframe = parse_timeframe("1h")
    o, high, low, c, v = whole[:, :5].T
    records = records_from_columns(times, o, high, low, c, v, timeframe, label=symbol)
    records["missing_before"] = missing
    return Candles(symbol, timeframe, records)


def _text() -> str:
    params = ['"stop": (0.0, 0.0, 1e9), "take_profit": (0.0, 0.0, 1e9), "shows": (0, 0, 1),']
    params += [
        '"whispers": (0.0, -1e9, 1e9),'
    ]  # moves the rungs by so much, and says no word of it
    body = ["    intent.stop, intent.take_profit = params.stop, params.take_profit"]
    for k in range(RUNGS):
        params += [f'"begin{k}": (-1, -1, 10**6), "end{k}": (-1, -1, 10**6), "id{k}": (0, 0, 999),']
        params += [f'"side{k}": (1, -1, 1), "price{k}": (1.0, 0.0, 1e9),']
        params += [f'"quote{k}": (1.0, 0.0, 1e9), "pair{k}": (0.0, 0.0, 1e9),']
        body += [
            f"    if params.begin{k} <= t < params.end{k}:",
            "        rung = intent.ladder[n]",
            f"        rung.id, rung.side, rung.price = params.id{k}, params.side{k}, params.price{k}",
            f"        rung.quote, rung.pair_price = params.quote{k}, params.pair{k}",
            "        n += 1",
            f"    changed = changed or t == params.begin{k} or t == params.end{k}",
        ]
    for k in range(TARGETS):
        params += [f'"at{k}": (-1, -1, 10**6), "target{k}": (0.0, 0.0, 1.0),']
        body += [f"    if t == params.at{k}:", f"        intent.target = params.target{k}"]
    return "\n".join([
        '"""Lays the ladder of a script."""', "from numba import njit", "PARAMS = {", *params, "}",
        'STATE = {"count": int, "revision": int}', "WARM_UP = 0", "@njit",
        "def decide(state, candle, position, params, intent):",
        "    t, n, changed = state.count, 0, False", "    state.count += 1", *body,
        "    if params.shows:",  # which rungs have filled: too small to trade, and seen in the result
        "        intent.target = 1e-14 * position.ladder_filled",
        "    if changed:", "        state.revision += 1", "        intent.n_ladder = n",
        "    elif params.whispers != 0.0:", "        intent.n_ladder = n", "        for k in range(n):",
        "            intent.ladder[k].price += params.whispers",
        "    intent.revision = state.revision",
    ])  # fmt: skip
