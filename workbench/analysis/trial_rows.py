"""What a trial is, and the rows in which trials are kept.

A trial is a distinct (strategy sha, exits, parameters, data sha, window, costs with guards, filters and
finer candles). What a whole batch has in common is its `Scope`; the rest of a row goes into a 64-bit
identity beside the scope's hash. Identities are equal for equal trials, whichever engine ran them and
whatever grid they were part of. Two of a million differing trials meet in one identity with a chance of
3e-8: then N would be one too low.

`sharpe` is per day and not annualised: the deflated Sharpe ratio wants the variance of these.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

TRIAL = np.dtype(
    [
        ("identity", "<u8"),
        ("sharpe", "<f8"),  # of daily UTC returns; NaN where there is none
        ("total_return", "<f8"),
        ("days", "<f8"),
        ("trades", "<i4"),  # closed round trips
        ("traded", "<i1"),  # whether it ever held a position
        ("error", "<i1"),  # 0, or why the strategy's intent was refused
    ]
)
_FIGURES = ("sharpe", "total_return")  # kept as they are: no compression makes them smaller
_COUNTS = ("days", "trades", "traded", "error")
_STEPS, _LAST_SHIFT = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)), 31  # shift, factor
_NUMPY_STEPS = [(np.uint64(shift), np.uint64(factor)) for shift, factor in _STEPS]


@dataclass(frozen=True, slots=True)
class Scope:
    """What the trials of one batch have in common; `costs` is text that names everything priced."""

    strategy: str
    strategy_sha: str
    data_sha256: str  # of the window alone: warm-up is a parameter set's own and part of its row
    symbol: str
    interval: str
    first_ms: int
    last_ms: int
    costs: str

    @property
    def sha(self) -> bytes:
        """Return 16 bytes that tell this scope from every other; the symbol's name is not part of it."""
        told = (self.strategy, self.strategy_sha, self.data_sha256, self.interval, self.costs)
        return hashlib.sha256("\0".join(told).encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class TrialBatch:
    """Trials of one scope: TRIAL records, and which engine ran them."""

    scope: Scope
    engine: str
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class Tally:
    """The sums that N and the variance of Sharpes are made of, over new trials alone."""

    fresh: int
    traded: int  # with a position and a Sharpe: those that count in the variance
    sharpe_sum: float
    sharpe_squares: float
    best_sharpe: float | None

    @classmethod
    def of(cls, rows: np.ndarray) -> Tally:
        """Return the tally of these trials."""
        sharpes = rows["sharpe"][(rows["traded"] != 0) & np.isfinite(rows["sharpe"])]
        sharpes = sharpes + 0.0  # -0.0 comes out of SQLite as 0.0, and would be another hash
        best = float(sharpes.max()) if len(sharpes) else None
        total, squares = float(sharpes.sum()), float((sharpes * sharpes).sum())
        return cls(len(rows), len(sharpes), total, squares, best)


def identities(scope: Scope, columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return the 64-bit identity of each row of columns of numbers, in a scope.

    Each column is mixed in by the finaliser of splitmix64 (Steele, Lea and Flood 2014), in order.
    """
    if len(columns[0]) == 1:  # a backtest's
        return np.array([_identity(scope, [_bits(column).item() for column in columns])], np.uint64)
    seed = np.frombuffer(scope.sha[:8], "<u8")[0]
    mixed = np.full(len(columns[0]), seed, np.uint64)
    for column in columns:
        mixed ^= _bits(column)
        for shift, factor in _NUMPY_STEPS:
            mixed ^= mixed >> shift
            mixed *= factor
        mixed ^= mixed >> np.uint64(_LAST_SHIFT)
    return mixed


def _identity(scope: Scope, numbers: Sequence[int]) -> int:
    """Return the identity of one row, for which plain numbers are quicker than arrays of one."""
    mixed, whole = int.from_bytes(scope.sha[:8], "little"), (1 << 64) - 1
    for number in numbers:
        mixed ^= number
        for shift, factor in _STEPS:
            mixed = (mixed ^ mixed >> shift) * factor & whole
        mixed ^= mixed >> _LAST_SHIFT
    return mixed


def first_of_each(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the rows whose identity is not among the known ones, each identity once, in order."""
    if len(rows) == 1:  # a backtest's
        return rows[: 0 if (known == rows["identity"]).any() else 1]
    _, first = np.unique(rows["identity"], return_index=True)
    chosen = rows[np.sort(first)]
    return chosen[~np.isin(chosen["identity"], known)] if len(known) else chosen


def packed(rows: np.ndarray) -> tuple[bytes, bytes]:
    """Return trials as their identities and a block of their other columns, compressed where that helps."""
    counts = zlib.compress(_joined(rows, _COUNTS), 1)
    return rows["identity"].tobytes(), _joined(rows, _FIGURES) + counts


def unpacked(identities: bytes, block: bytes) -> np.ndarray:
    """Return the trials that `packed` wrote; ValueError where the bytes are none."""
    ids = np.frombuffer(identities, "<u8")
    rows = np.zeros(len(ids), TRIAL)
    rows["identity"] = ids
    figures = sum(TRIAL[name].itemsize for name in _FIGURES) * len(ids)
    try:
        columns = block[:figures] + zlib.decompress(block[figures:])
    except zlib.error as error:
        raise ValueError(str(error)) from None
    begin = 0
    for name in (*_FIGURES, *_COUNTS):
        size = TRIAL[name].itemsize * len(ids)
        rows[name] = np.frombuffer(columns[begin : begin + size], TRIAL[name])
        begin += size
    return rows


def chained(previous: bytes, header: Sequence[object], identities: bytes, block: bytes) -> bytes:
    """Return the hash of an entry: SHA-256 over the one before it, its header and both of its blobs."""
    digest = hashlib.sha256(previous)
    for part in (repr(tuple(header)).encode(), identities, block):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def header_of(
    seq: int, now_ms: int, batch: TrialBatch, tally: Tally
) -> tuple[str | int | float | bytes | None, ...]:
    """Return an entry's fields in the order of its table, but for the hash."""
    scope = batch.scope
    return (seq, now_ms, scope.sha, *_told(scope), batch.engine, len(batch.rows), *_told(tally))


def _told(values: Scope | Tally) -> tuple[str | int | float | None, ...]:
    """Return the fields in their order, as `astuple` does, which would copy each of them."""
    return tuple(getattr(values, one.name) for one in fields(values))


def _joined(rows: np.ndarray, names: Sequence[str]) -> bytes:
    return b"".join(np.ascontiguousarray(rows[name]).tobytes() for name in names)


def _bits(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind == "f":
        return (column.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 is 0.0
    return column.astype(np.int64).view(np.uint64)
