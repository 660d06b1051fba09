"""Folds of a walk-forward: where each train window and the test window behind it begin and end.

    rolling    |train|test|              anchored   |train|test|
                    |train|test|                    |train     |test|
                         |train|test|               |train          |test|

Test windows follow one another without a gap and without overlap, each right behind its train window.
A length is a number of candles (4000), or of days by the clock ("180d"), which a hole in the data does
not stretch. Train is four times test where one of the two is given, or a number of folds.
Source: Pardo, R. (2008), The Evaluation and Optimization of Trading Strategies, ch. 11.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from workbench.data.times import iso
from workbench.errors import DataError, UsageError
from workbench.market.candles import Candles
from workbench.market.timeframes import DAY_MS

Length = int | str

TRAIN_TO_TEST = 4
USUAL_FOLDS = 5
MOST_FOLDS = 1_000
LEAST_CANDLES = 2  # of a window that can be traded


@dataclass(frozen=True, slots=True)
class Fold:
    """Record numbers [train_begin, test_begin) to choose on, and [test_begin, test_end) to look at."""

    number: int
    train_begin: int
    test_begin: int
    test_end: int

    def train(self, candles: Candles) -> Candles:
        """Return the train window; what lies before it is its warm-up, nothing lies behind it."""
        return span_of(candles, self.train_begin, self.test_begin)

    def test(self, candles: Candles) -> Candles:
        """Return the test window; what lies before it, the train window too, is its warm-up."""
        return span_of(candles, self.test_begin, self.test_end)


def span_of(candles: Candles, begin: int, end: int) -> Candles:
    """Return records [begin, end) as a window, all before it as warm-up and nothing behind it."""
    fine = candles.fine
    if fine is not None:
        closes = candles.timeframe.next(int(candles.records["open_time"][end - 1]))
        ends = int(np.searchsorted(fine.records["open_time"], closes))
        fine = replace(fine, records=fine.records[:ends], first=min(fine.first, ends))
    return replace(candles, records=candles.records[:end], first=begin, fine=fine)


def lay_folds(
    candles: Candles,
    *,
    train: Length | None = None,
    test: Length | None = None,
    folds: int | None = None,
    anchored: bool = False,
) -> tuple[Fold, ...]:
    """Part the window into folds, from its first candle on; what fills no test window is left out.

    With `folds`, or with nothing, all candles are used, those that do not part evenly in the train
    window. Raises UsageError for lengths that are none or cannot go together, DataError where the
    window is too short for a single fold or a fold's window holds fewer than two candles.
    """
    if train is None and test is None:
        usual = USUAL_FOLDS if folds is None else folds
        bounds, place = _even_bounds(candles, usual), _by_count(candles)
    else:
        if folds is not None:
            raise UsageError(
                f"folds={folds} beside train={train!r} and test={test!r}: lengths tell how many folds "
                "there are; leave out folds, or the lengths"
            )
        bounds, place = _bounds(candles, train, test)
    train_size, test_size, count = bounds
    found = []
    for k in range(count):
        begins = train_size + k * test_size
        found.append(
            Fold(
                number=k + 1,
                train_begin=candles.first if anchored else place(k * test_size),
                test_begin=place(begins),
                test_end=place(begins + test_size),
            )
        )
    for fold in found:
        _demand_candles(candles, fold)
    return tuple(found)


def _even_bounds(candles: Candles, folds: int) -> tuple[int, int, int]:
    if isinstance(folds, bool) or not isinstance(folds, int) or not 1 <= folds <= MOST_FOLDS:
        raise UsageError(
            f"folds={folds!r} is no whole number from 1 to {MOST_FOLDS:,}; write folds=5"
        )
    count = len(candles)
    test = count // (TRAIN_TO_TEST + folds)
    if test < LEAST_CANDLES:
        needed = LEAST_CANDLES * (TRAIN_TO_TEST + folds)
        raise DataError(
            f"{candles.symbol} {candles.timeframe}: folds={folds} with {TRAIN_TO_TEST}:1 of train to test "
            f"need {needed} candles, the window has {count}; load more, or ask for fewer folds"
        )
    return count - folds * test, test, folds


def _bounds(
    candles: Candles, train: Length | None, test: Length | None
) -> tuple[tuple[int, int, int], Callable[[int], int]]:
    """Return train length, test length and number of folds, and what turns offsets into records."""
    given = {n: _length(n, v) for n, v in (("train", train), ("test", test)) if v is not None}
    if len({unit for _, unit in given.values()}) > 1:
        raise UsageError(
            f"train={train!r} and test={test!r} are of two kinds; give both in candles (4000), or both "
            'in days ("180d")'
        )
    unit = next(iter(given.values()))[1]
    train_size = given["train"][0] if "train" in given else given["test"][0] * TRAIN_TO_TEST
    test_size = given["test"][0] if "test" in given else given["train"][0] // TRAIN_TO_TEST
    if test_size < 1:
        raise UsageError(f"train={train!r} leaves less than a candle to test on; give test too")
    whole = len(candles) if unit == "candles" else _duration_ms(candles)
    count = (whole - train_size) // test_size
    if count < 1:
        raise DataError(_too_short(candles, train_size, test_size, whole, unit))
    if count > MOST_FOLDS:
        raise UsageError(
            f"test={_said(test_size, unit)} makes {count:,} folds of the window; at most "
            f"{MOST_FOLDS:,}: make it longer"
        )
    place = _by_count(candles) if unit == "candles" else _by_clock(candles)
    return (train_size, test_size, count), place


def _length(name: str, value: Length) -> tuple[int, str]:
    text = str(value).strip()
    unit = "days" if text.endswith("d") else "candles"
    try:
        number = float(text.removesuffix("d"))
        fits = np.isfinite(number) and number > 0 and not isinstance(value, bool)
    except ValueError:
        number, fits = 0.0, False
    size = number * DAY_MS if unit == "days" else number
    if not fits or size > 1e15 or (unit == "candles" and size != int(size)):
        raise UsageError(
            f"{name}={value!r} is no length; write a whole number of candles (4000), or of days "
            '("180d"), above 0'
        )
    return max(1, round(size)), unit


def _by_count(candles: Candles) -> Callable[[int], int]:
    return lambda offset: candles.first + offset


def _by_clock(candles: Candles) -> Callable[[int], int]:
    times = candles.records["open_time"]
    start = int(times[candles.first])
    return lambda offset: int(np.searchsorted(times, start + offset))


def _duration_ms(candles: Candles) -> int:
    times = candles.window["open_time"]
    return candles.timeframe.next(int(times[-1])) - int(times[0]) if len(times) else 0


def _said(size: int, unit: str) -> str:
    return f"{size:,} candles" if unit == "candles" else f"{size / DAY_MS:g} days"


def _too_short(candles: Candles, train: int, test: int, whole: int, unit: str) -> str:
    return (
        f"{candles.symbol} {candles.timeframe}: train of {_said(train, unit)} and test of "
        f"{_said(test, unit)} need {_said(train + test, unit)}, the window has {_said(whole, unit)}; "
        "load more, or make them shorter"
    )


def _demand_candles(candles: Candles, fold: Fold) -> None:
    times = candles.records["open_time"]
    windows = {
        "train": (fold.train_begin, fold.test_begin),
        "test": (fold.test_begin, fold.test_end),
    }
    for name, (begin, end) in windows.items():
        if end - begin < LEAST_CANDLES:
            at = iso(int(times[min(begin, len(times) - 1)]))
            raise DataError(
                f"{candles.symbol} {candles.timeframe}: the {name} window of fold {fold.number}, from {at} "
                f"on, has {max(0, end - begin)} candles, at least {LEAST_CANDLES} are needed; make {name} longer"
            )
