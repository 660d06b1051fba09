"""The synthetic market: six correlated pairs, made up, the same on every machine.

Nothing here is a forecast: log prices are a martingale-like walk without drift. A day has its own
volatility (log volatility is an AR(1) process that all pairs share, so calm and wild days cluster),
a normal return and, now and then, a jump. A day's return is spread over its minutes by a Brownian
bridge that all pairs partly share; a minute's high and low follow the law of the bridge's extremes.
Seconds are bridges inside their minute, and every coarser candle is built from the minutes, so the
prices and volumes of all sixteen intervals agree. Chance is a counter-based hash of (seed, stream,
day, index): any day can be made alone, and no library's generator can change the market.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from workbench.data.resample import resample
from workbench.data.schema import OPEN_TIME, SCHEMA, empty_frame
from workbench.data.times import iso, to_ms
from workbench.errors import UsageError
from workbench.market.instruments import KNOWN, SCALE, instrument
from workbench.market.timeframes import DAY_MS, MINUTE_MS, SECOND_MS, TIMEFRAMES, Timeframe

SEED = 7
LABEL = f"SYNTHETIC market, seed {SEED}"
FIRST_MS = to_ms("2017-01-02")  # a Monday
END_MS = to_ms("2031-01-01")
DEFAULT_END_MS = to_ms("2025-01-01")
DEFAULT_CANDLES = 20_000
_MINUTES = DAY_MS // MINUTE_MS
_DAYS = (END_MS - FIRST_MS) // DAY_MS
_SHARED = 0.75  # the part of a pair's variance that all pairs share
_JUMP_CHANCE = 0.03  # a day
_START_PRICE = dict(zip(KNOWN, (40_000.0, 2_500.0, 500.0, 200.0, 1.5, 1.5), strict=True))
_DAILY_VOLATILITY = dict(zip(KNOWN, (0.018, 0.022, 0.021, 0.028, 0.025, 0.026), strict=True))
_MINUTE_VOLUME = dict(zip(KNOWN, (12.0, 150.0, 80.0, 600.0, 60_000.0, 60_000.0), strict=True))
_FIELDS = tuple(name for name in SCHEMA if name not in ("symbol", "open_time"))


@dataclass(frozen=True, slots=True)
class Synthetic:
    """The synthetic market as a source; `seed` chooses one of many such markets."""

    seed: int = SEED

    @property
    def venue(self) -> str:
        """Return the venue name that marks everything made of these candles."""
        return "synthetic"

    @property
    def description(self) -> str:
        """Return the label that charts and reports show."""
        return f"SYNTHETIC market, seed {self.seed}"

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the candles that open in [start, end), in pieces of at most thirty days."""
        start_ms, end_ms = max(start_ms, FIRST_MS), min(end_ms, END_MS)
        piece = max(30 * DAY_MS, 1_000 * timeframe.mean_ms)
        while start_ms < end_ms:
            until = min(start_ms + piece, end_ms)
            yield candles(symbol, timeframe, start_ms, until, seed=self.seed)
            start_ms = until


def candles(
    symbol: str,
    timeframe: Timeframe,
    start_ms: int | None = None,
    end_ms: int | None = None,
    *,
    seed: int = SEED,
) -> pl.DataFrame:
    """Return the made-up candles that open in [start, end), with every column of the schema.

    Without an end the market ends with 2024; without a start the last 20,000 candles are given.
    Raises UsageError for a pair or a time outside the market.
    """
    if symbol not in _START_PRICE:
        raise UsageError(f"the synthetic market has no {symbol!r}; it has {' '.join(KNOWN)}")
    end_ms = _default_end(start_ms) if end_ms is None else min(end_ms, END_MS)
    start_ms = end_ms - DEFAULT_CANDLES * timeframe.mean_ms if start_ms is None else start_ms
    start_ms = max(start_ms, FIRST_MS)
    if start_ms >= end_ms:
        raise UsageError(
            f"the synthetic market lies between {iso(FIRST_MS)} and {iso(END_MS)}; ask inside that"
        )
    first, end = timeframe.floor(start_ms), end_ms
    if timeframe.fixed_ms is None or timeframe.fixed_ms > DAY_MS:
        days = _daily(symbol, max(first, FIRST_MS), min(timeframe.next(end), END_MS), seed)
        frame = resample(days, "1d", timeframe)
    else:
        frame = _daily_pieces(symbol, timeframe, first, end, seed)
    time = pl.col("open_time").dt.epoch("ms")
    return frame.filter(time >= start_ms, time < end_ms)


def _default_end(start_ms: int | None) -> int:
    return DEFAULT_END_MS if start_ms is None or start_ms < DEFAULT_END_MS else END_MS


def _daily(symbol: str, first: int, end: int, seed: int) -> pl.DataFrame:
    return _daily_pieces(symbol, TIMEFRAMES["1d"], first, end, seed)


def _daily_pieces(
    symbol: str, timeframe: Timeframe, first: int, end: int, seed: int
) -> pl.DataFrame:
    step = timeframe.fixed_ms or DAY_MS
    days = range((first - FIRST_MS) // DAY_MS, -(-(end - FIRST_MS) // DAY_MS))
    if not days:
        return empty_frame()
    blocks = [_day(symbol, day, step, seed) for day in days]
    times = FIRST_MS + days.start * DAY_MS + np.arange(len(days) * (DAY_MS // step)) * step
    columns = {
        name: np.concatenate([block[at] for block in blocks]) for at, name in enumerate(_FIELDS)
    }
    return pl.DataFrame(
        {
            "symbol": pl.repeat(symbol, len(times), eager=True),
            "open_time": pl.Series(times).cast(OPEN_TIME),
            **columns,
        }
    ).cast({"trades": pl.Int64})


def _day(symbol: str, day: int, step_ms: int, seed: int) -> np.ndarray:
    """Return one day's candles as rows (one a field, in the order of the schema)."""
    minutes = _minutes(symbol, day, seed)
    if step_ms == MINUTE_MS:
        return minutes
    if step_ms < MINUTE_MS:
        return _seconds(symbol, day, minutes, seed)
    return _grouped(minutes, step_ms // MINUTE_MS)


def _grouped(fine: np.ndarray, count: int) -> np.ndarray:
    blocks = fine.reshape(len(fine), -1, count)
    out = blocks.sum(axis=2)
    out[0] = blocks[0, :, 0]
    out[1] = blocks[1].max(axis=1)
    out[2] = blocks[2].min(axis=1)
    out[3] = blocks[3, :, -1]
    return out


def _minutes(symbol: str, day: int, seed: int) -> np.ndarray:
    walk, volatility, jumps = _days_of(symbol, seed)
    minute_sd = volatility[day] / np.sqrt(_MINUTES) * _season()
    own = KNOWN.index(symbol) + 1
    noise = np.sqrt(_SHARED) * _normals(seed, 10, day, _MINUTES)
    noise += np.sqrt(1 - _SHARED) * _normals(seed, 10 + own, day, _MINUTES)
    steps = noise * minute_sd
    weights = minute_sd**2 / np.sum(minute_sd**2)
    steps += (walk[day + 1] - walk[day] - jumps[day] - steps.sum()) * weights  # the bridge
    steps[int(_uniforms(seed, 30 + own, day, 1)[0] * _MINUTES)] += jumps[day]
    log_price = walk[day] + np.concatenate([[0.0], np.cumsum(steps)])
    log_price[-1] = walk[day + 1]
    high, low = _extremes(log_price, minute_sd, seed, own, day)
    tick = instrument(symbol).tick_e8
    prices = np.vstack(
        [_on_tick(np.exp(x), tick) for x in (log_price[:-1], high, low, log_price[1:])]
    )
    prices[1] = np.maximum(prices[1], np.maximum(prices[0], prices[3]))
    prices[2] = np.minimum(prices[2], np.minimum(prices[0], prices[3]))
    activity = np.exp(0.6 * _normals(seed, 50 + own, day, _MINUTES)) * _season() ** 2
    activity *= (1 + np.abs(steps) / minute_sd) * volatility[day] / _DAILY_VOLATILITY[symbol]
    step = instrument(symbol).step_e8
    volume = np.maximum(np.rint(activity * _MINUTE_VOLUME[symbol] * SCALE / step), 1) * step / SCALE
    share = 0.3 + 0.4 * _uniforms(seed, 60 + own, day, _MINUTES)
    return np.vstack([prices, _flows(prices, volume, activity, share, step)])


def _flows(
    prices: np.ndarray, volume: np.ndarray, activity: np.ndarray, share: np.ndarray, step: int
) -> np.ndarray:
    """Return volume, quote volume, trades and the takers' buys of each candle."""
    typical = prices.mean(axis=0)
    bought = np.rint(volume * share * SCALE / step) * step / SCALE
    trades = np.maximum(np.rint(100 * activity), 1)
    return np.vstack([volume, volume * typical, trades, bought, bought * typical])


def _extremes(
    log_price: np.ndarray, minute_sd: np.ndarray, seed: int, own: int, day: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw high and low of Brownian bridges (maximum law: Shreve 2004, section 3.7)."""
    begin, end = log_price[:-1], log_price[1:]
    span = (end - begin) ** 2
    up, down = (
        np.sqrt(span - 2 * minute_sd**2 * np.log(_uniforms(seed, stream + own, day, _MINUTES)))
        for stream in (70, 80)
    )
    return (begin + end + up) / 2, (begin + end - down) / 2


def _seconds(symbol: str, day: int, minutes: np.ndarray, seed: int) -> np.ndarray:
    """Spread each minute over sixty seconds that touch its high and low and add up to its volume."""
    per = MINUTE_MS // SECOND_MS
    own = KNOWN.index(symbol) + 1
    opens, highs, lows, closes = (minutes[at][:, None] for at in range(4))
    noise = _normals(seed, 90 + own, day, _MINUTES * per).reshape(_MINUTES, per)
    bridge = np.cumsum(noise, axis=1)
    ramp = np.arange(1, per + 1) / per
    bridge -= bridge[:, -1:] * ramp
    path = opens + (closes - opens) * ramp + bridge * (highs - lows) / np.sqrt(per)
    tick = instrument(symbol).tick_e8
    ends = _on_tick(np.clip(path, lows, highs), tick)
    ends[:, -1] = closes[:, 0]
    begins = np.hstack([opens, ends[:, :-1]])
    tops, bottoms = np.maximum(begins, ends), np.minimum(begins, ends)
    rows = np.arange(_MINUTES)
    tops[rows, tops.argmax(axis=1)] = highs[:, 0]
    bottoms[rows, bottoms.argmin(axis=1)] = lows[:, 0]
    step = instrument(symbol).step_e8
    parts = [_split(minutes[at], per, unit) for at, unit in ((4, step), (6, SCALE), (7, step))]
    volume, trades, bought = parts
    bought = np.minimum(bought, volume)
    typical = (begins + tops + bottoms + ends) / 4
    fields = (
        begins,
        tops,
        bottoms,
        ends,
        volume,
        volume * typical,
        trades,
        bought,
        bought * typical,
    )
    return np.vstack([field.reshape(-1) for field in fields])


def _split(totals: np.ndarray, per: int, unit_e8: int) -> np.ndarray:
    """Split totals into `per` nearly equal whole multiples of a unit that add up to them."""
    units = np.rint(totals * SCALE / unit_e8).astype(np.int64)
    edges = units[:, None] * np.arange(per + 1) // per
    return np.diff(edges, axis=1) * unit_e8 / SCALE


@lru_cache(maxsize=64)
def _days_of(symbol: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log price at each midnight, daily volatility and daily jump, over all days."""
    own = KNOWN.index(symbol) + 1
    volatility = _DAILY_VOLATILITY[symbol] * np.exp(_clustered(_normals(seed, 1, 0, _DAYS)))
    shared, alone = _normals(seed, 2, 0, _DAYS), _normals(seed, 100 + own, 0, _DAYS)
    diffusion = volatility * (np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * alone)
    size = volatility * 2.5 * _normals(seed, 110 + own, 0, _DAYS)
    jumps = np.where(_uniforms(seed, 120 + own, 0, _DAYS) < _JUMP_CHANCE, size, 0.0)
    moves = np.cumsum(diffusion + jumps - volatility**2 / 2)
    walk = np.log(_START_PRICE[symbol]) + np.concatenate([[0.0], moves])
    return walk, volatility, jumps


def _clustered(shocks: np.ndarray) -> np.ndarray:
    level, out = 0.0, np.empty(len(shocks))
    for day, shock in enumerate(shocks):
        level = 0.95 * level + 0.12 * shock
        out[day] = level
    return out


@lru_cache(maxsize=1)
def _season() -> np.ndarray:
    """Return how much livelier each minute of the UTC day is than the mean (busiest at 15:00)."""
    hours = np.arange(_MINUTES) / 60
    shape = 1 + 0.35 * np.cos((hours - 15) / 24 * 2 * np.pi)
    return shape / np.sqrt(np.mean(shape**2))


def _on_tick(prices: np.ndarray, tick_e8: int) -> np.ndarray:
    return np.maximum(np.rint(prices * SCALE / tick_e8), 1) * tick_e8 / SCALE


def _normals(seed: int, stream: int, day: int, count: int) -> np.ndarray:
    """Return standard normals by Box and Muller (1958)."""
    draws = _uniforms(seed, stream, day, 2 * count)
    return np.sqrt(-2 * np.log(draws[:count])) * np.cos(2 * np.pi * draws[count:])


def _uniforms(seed: int, stream: int, day: int, count: int) -> np.ndarray:
    """Return uniforms in (0, 1): SplitMix64's mixing function over a keyed counter."""
    key = _mixed(np.array([seed], np.uint64))
    for part in (stream, day):
        key = _mixed(key ^ np.array([part], np.uint64))
    counters = key + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((_mixed(counters) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mixed(values: np.ndarray) -> np.ndarray:
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
