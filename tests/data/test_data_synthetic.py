"""The synthetic market is the same for everybody, healthy, correlated, and restless in clusters."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from workbench.data.quality import check
from workbench.data.resample import resample
from workbench.data.sources.synthetic import Synthetic, candles
from workbench.data.times import to_ms
from workbench.errors import UsageError
from workbench.market.instruments import KNOWN, SCALE, instrument
from workbench.market.timeframes import TIMEFRAMES

START, END = to_ms("2024-03-04"), to_ms("2024-03-11")  # a week from Monday
PINNED = [  # seen on the day of the first release
    (93710.8, 95611.92, 91655.66, 93156.14),
    (93156.14, 93346.03, 88730.47, 88800.36),
]
PRICES = ["open_time", "open", "high", "low", "close"]


def test_the_market_does_not_change_with_the_machine_or_the_release() -> None:
    frame = candles("BTCUSDT", TIMEFRAMES["1d"], START, START + 2 * 86_400_000)
    assert frame.select("open", "high", "low", "close").rows() == PINNED


@pytest.mark.parametrize("interval", list(TIMEFRAMES))
def test_candles_of_all_sixteen_intervals_are_free_of_errors(interval: str) -> None:
    timeframe = TIMEFRAMES[interval]
    span = min(max(timeframe.mean_ms * 40, 86_400_000), 120 * 86_400_000)
    frame = candles("SOLUSDT", timeframe, START, START + span)
    report = check(frame, timeframe)
    assert (report.errors, report.gaps) == ((), ())
    assert report.rows >= 3


@pytest.mark.parametrize(
    ("fine", "coarse"), [("1s", "1m"), ("1m", "15m"), ("15m", "4h"), ("1h", "1w")]
)
def test_the_intervals_agree_with_each_other(fine: str, coarse: str) -> None:
    end = START + 86_400_000 if fine == "1s" else END
    built = resample(candles("XRPUSDT", TIMEFRAMES[fine], START, end), fine, coarse)
    direct = candles("XRPUSDT", TIMEFRAMES[coarse], START, end)
    assert built.select(PRICES).equals(direct.select(PRICES))
    assert built["volume"].to_list() == pytest.approx(direct["volume"].to_list(), rel=1e-12)
    assert built["trades"].to_list() == direct["trades"].to_list()


def test_a_window_is_the_same_whether_fetched_whole_or_in_pieces() -> None:
    hour = TIMEFRAMES["1h"]
    whole = candles("ETHUSDT", hour, START, START + 70 * 86_400_000)
    pages = list(Synthetic().fetch("ETHUSDT", hour, START, START + 70 * 86_400_000))
    assert len(pages) > 1
    assert pl.concat(pages).equals(whole)
    assert candles("ETHUSDT", hour, START + 3_600_000, END).equals(whole.slice(1, 167))


def test_prices_lie_on_the_tick_and_volumes_on_the_lot() -> None:
    for symbol in KNOWN:
        rules = instrument(symbol)
        frame = candles(symbol, TIMEFRAMES["1m"], START, START + 86_400_000)
        for name, unit in (
            ("high", rules.tick_e8),
            ("low", rules.tick_e8),
            ("volume", rules.step_e8),
        ):
            amounts = np.rint(frame[name].to_numpy() * SCALE).astype(np.int64)
            assert (amounts % unit == 0).all()


def test_pairs_move_together_and_volatility_clusters() -> None:
    since, until = to_ms("2021-01-01"), to_ms("2023-01-01")
    closes = [candles(s, TIMEFRAMES["1d"], since, until)["close"].to_numpy() for s in KNOWN[:2]]
    moves = [np.diff(np.log(close)) for close in closes]
    correlation = np.corrcoef(moves)
    assert (correlation[np.triu_indices(2, 1)] > 0.4).all()
    assert (correlation[np.triu_indices(2, 1)] < 0.95).all()
    size = np.abs(moves[0])
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.05
    kurtosis = np.mean((moves[0] - moves[0].mean()) ** 4) / moves[0].var() ** 2
    assert kurtosis > 3.5  # fatter tails than a normal's 3


def test_another_seed_is_another_market_and_says_so() -> None:
    one = candles("BTCUSDT", TIMEFRAMES["1d"], START, END, seed=1)
    two = candles("BTCUSDT", TIMEFRAMES["1d"], START, END, seed=2)
    assert not one.equals(two)
    assert Synthetic(2).description == "SYNTHETIC market, seed 2"
    assert Synthetic(2).venue == "synthetic"


def test_what_the_market_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="has no 'DOGEUSDT'; it has BTCUSDT"):
        candles("DOGEUSDT", TIMEFRAMES["1h"])
    with pytest.raises(UsageError, match="lies between 2017-01-02T00:00Z and 2031-01-01T00:00Z"):
        candles("BTCUSDT", TIMEFRAMES["1h"], to_ms("2035-01-01"), to_ms("2036-01-01"))
