"""Reading the trial ledger: is its chain whole, and what does it hold, strategy by strategy.

The check goes through every entry: its number follows on the one before, its hash covers the hash before
it and its own content, its sums are those of its block, no identity comes twice in a scope, and the last
entry is the one that the head names. So an edit, a removal, an insertion and a cut are all found, and the
first entry that is wrong is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from workbench.analysis.trial_file import COLUMNS, GENESIS
from workbench.analysis.trial_rows import Tally, chained, unpacked
from workbench.analysis.trials import TrialLedger

if TYPE_CHECKING:
    import sqlite3

_TALLY = slice(COLUMNS.index("fresh"), COLUMNS.index("sha"))
DAYS_A_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class TrialCheck:
    """What a check found: how many entries and trials, the head's hash, and every fault in one line."""

    entries: int
    trials: int
    head: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StrategyTrials:
    """The trials of one strategy's name: N, rows seen, versions, best Sharpe of a year, first and last time."""

    strategy: str
    n: int
    seen: int
    with_trades: int
    versions: int
    best_sharpe: float | None
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class TrialEntry:
    """One batch of the ledger, as `workbench trials show` prints it."""

    seq: int
    written_ms: int
    strategy_sha: str
    symbol: str
    interval: str
    first_ms: int
    last_ms: int
    costs: str
    engine: str
    seen: int
    fresh: int
    best_sharpe: float | None


_SHOWN = tuple(one.name for one in fields(TrialEntry))


def check(ledger: TrialLedger) -> TrialCheck:
    """Look at every entry of a ledger; a file that is not there holds none and is whole."""
    if not ledger.path.exists():
        return TrialCheck(0, 0, "", ())
    with ledger.reading() as db:
        db.execute("BEGIN")  # entry and head of one moment, while others append
        try:
            last, sha, entries, trials = 0, GENESIS, 0, 0
            faults: list[str] = []
            known: dict[bytes, list[np.ndarray]] = defaultdict(list)
            for row, identities, block in _entries(db):
                seq = row[0]
                faults += _faults_of(row, identities, block, last, sha)
                known[row[COLUMNS.index("scope")]].append(np.frombuffer(identities, "<u8"))
                last, sha, entries = seq, row[-1], entries + 1
                trials += row[COLUMNS.index("fresh")]
            faults += _repeated(known)
            faults += _faults_of_head(db, last, sha)
        finally:
            db.execute("ROLLBACK")
    return TrialCheck(entries, trials, sha.hex() if entries else "", tuple(faults))


def by_strategy(ledger: TrialLedger) -> list[StrategyTrials]:
    """Return one line a strategy's name, the one with the most trials first."""
    if not ledger.path.exists():
        return []
    with ledger.reading() as db:
        rows = db.execute(
            "SELECT strategy, sum(fresh), sum(seen), sum(traded), count(DISTINCT strategy_sha), "
            "max(best_sharpe), min(written_ms), max(written_ms) FROM entries GROUP BY strategy "
            "ORDER BY sum(fresh) DESC, strategy"
        ).fetchall()
    return [
        StrategyTrials(name, n, seen, traded, versions, _a_year(best), first, last)
        for name, n, seen, traded, versions, best, first, last in rows
    ]


def entries_of(ledger: TrialLedger, strategy: str, *, most: int) -> list[TrialEntry]:
    """Return the latest entries of a strategy's name, the newest first."""
    if not ledger.path.exists():
        return []
    with ledger.reading() as db:
        rows = db.execute(
            f"SELECT {', '.join(_SHOWN)} FROM entries WHERE strategy = ? ORDER BY seq DESC LIMIT ?",
            (strategy, most),
        ).fetchall()
    named = (dict(zip(_SHOWN, row, strict=True)) for row in rows)
    return [TrialEntry(**one | {"best_sharpe": _a_year(one["best_sharpe"])}) for one in named]


def _entries(db: sqlite3.Connection) -> Iterator[tuple[tuple, bytes, bytes]]:
    named = ", ".join(COLUMNS)
    found = db.execute(
        f"SELECT {named}, coalesce(identities, x''), coalesce(columns, x'') "
        "FROM entries LEFT JOIN blocks USING (seq) ORDER BY seq"
    )
    for row in found:
        yield row[:-2], row[-2], row[-1]


def _faults_of(
    row: tuple, identities: bytes, block: bytes, last: int, previous: bytes
) -> list[str]:
    """Return what is wrong with one entry, given the one before it."""
    seq = row[0]
    if seq != last + 1:
        return [f"entry {last + 1} is missing: {seq} follows on {last}"]
    if chained(previous, row[:-1], identities, block) != row[-1]:
        return [f"entry {seq} is not what was written: it, its block or the one before was changed"]
    try:
        tally = Tally.of(unpacked(identities, block))
    except ValueError as error:
        return [f"the block of entry {seq} cannot be read: {error}"]
    if astuple(tally) != row[_TALLY]:
        return [f"the sums of entry {seq} are not those of its trials"]
    return []


def _repeated(known: dict[bytes, list[np.ndarray]]) -> list[str]:
    twice = 0
    for parts in known.values():
        whole = np.concatenate(parts)
        twice += len(whole) - len(np.unique(whole))
    return [f"{twice:,} trials are counted twice in their scope"] if twice else []


def _faults_of_head(db: sqlite3.Connection, last: int, sha: bytes) -> list[str]:
    head = db.execute("SELECT seq, sha FROM head").fetchone()
    if head is None:
        return ["the head is missing: what was cut off the end cannot be told"]
    if head != (last, sha):
        return [f"the head names entry {head[0]}, the last one is {last}: the end was changed"]
    return []


def _a_year(sharpe: float | None) -> float | None:
    return None if sharpe is None else sharpe * float(np.sqrt(DAYS_A_YEAR))
