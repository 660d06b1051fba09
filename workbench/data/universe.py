"""The universe: every pair a venue has ever listed, from when to when it could be traded.

A study of "the largest pairs" that takes today's list has chosen survivors and knows the future. So
pairs stay in the universe after their end, and which of them existed on a date is asked of `as_of`.
exchangeInfo has no dates: a pair is listed with its first candle, and ended with its last one.

    datasets/universe/venue=binance/symbols.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.data import atomic
from workbench.data.places import Places, recorded
from workbench.data.times import When, iso, to_ms
from workbench.errors import DataError
from workbench.market.instruments import KNOWN, instrument

FORMAT = 1
TRADING = "TRADING"
GONE = "GONE"  # exchangeInfo does not name the pair any more
STABLES = frozenset(
    ("USDT", "USDC", "BUSD", "TUSD", "USDP", "PAX", "DAI", "FDUSD", "USDS", "SUSD", "UST", "USTC")
) | frozenset(("AEUR", "EURI", "XUSD", "USDE", "USD1", "RLUSD", "EUR", "GBP", "AUD"))
_LEVERAGED = ("UP", "DOWN", "BULL", "BEAR")


@dataclass(frozen=True, slots=True)
class Listing:
    """One pair. `listed_ms` is None where it never had a candle, `ended_ms` while it is traded."""

    symbol: str
    base: str
    quote: str
    status: str
    listed_ms: int | None = None
    ended_ms: int | None = None
    seen_ms: int = 0
    dated: bool = False  # its first candle was asked for

    def existed(self, at_ms: int) -> bool:
        """Tell whether the pair could be traded at a time."""
        begun = self.listed_ms is not None and self.listed_ms <= at_ms
        return begun and (self.ended_ms is None or at_ms < self.ended_ms)


@dataclass(frozen=True, slots=True)
class Universe:
    """All pairs of a venue, in the order of their symbols, and how they are known."""

    venue: str
    taken_ms: int
    listings: tuple[Listing, ...]
    source: str

    def as_of(self, when: When, *, quote: str | None = None, plain: bool = True) -> list[Listing]:
        """Return the pairs that could be traded at a time, of one quote asset where it is named.

        `plain` leaves out pairs that are no research subjects by rule: stable coins and leveraged
        tokens as base. Raises UsageError for what is not a time.
        """
        at_ms = to_ms(when, name="as_of")
        bases = {one.base for one in self.listings}
        return [
            one
            for one in self.listings
            if one.existed(at_ms)
            and quote in (None, one.quote)
            and not (plain and (one.base in STABLES or _leveraged(one.base, bases)))
        ]

    def symbols(self) -> dict[str, Listing]:
        """Return the pairs by their symbols."""
        return {one.symbol: one for one in self.listings}


def universe(*, venue: str = "binance", places: Places | None = None) -> Universe:
    """Return the stored universe of a venue; without one, that of the recorded candles.

    The second knows only pairs that somebody chose to record, and its `source` says so.
    """
    places = places or Places.here()
    if places.datasets is not None and (found := read(places.datasets, venue)) is not None:
        return found
    return _of_recorded(venue, places)


def read(datasets: Path, venue: str) -> Universe | None:
    """Return the universe that a datasets folder holds, None where it holds none."""
    path = path_of(datasets, venue)
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        listings = tuple(Listing(**one) for one in told["symbols"])
        return Universe(venue, int(told["taken_ms"]), listings, f"exchangeInfo, {told['taken']}")
    except (ValueError, TypeError, KeyError, OSError):
        raise DataError(
            f"the universe of {venue} cannot be read; delete {path.name} in its folder and run "
            "`workbench data universe --refresh`"
        ) from None


def write(datasets: Path, found: Universe) -> None:
    """Keep a universe in a datasets folder, in one step."""
    told = {
        "format": FORMAT,
        "venue": found.venue,
        "taken": iso(found.taken_ms),
        "taken_ms": found.taken_ms,
        "symbols": [asdict(one) for one in in_order(found.listings)],
    }
    text = json.dumps(told, indent=1, ensure_ascii=False)
    atomic.replace_text(path_of(datasets, found.venue), text + "\n", another=atomic.STORE)


def path_of(datasets: Path, venue: str) -> Path:
    """Return where the universe of a venue lies."""
    return datasets / "universe" / f"venue={venue}" / "symbols.json"


def in_order(listings: Iterable[Listing]) -> tuple[Listing, ...]:
    """Return listings in the order of their symbols."""
    return tuple(sorted(listings, key=lambda one: one.symbol))


def _of_recorded(venue: str, places: Places) -> Universe:
    first: dict[str, int] = {}
    for one in recorded(places):
        if one.venue == venue:
            first[one.symbol] = min(one.first_ms, first.get(one.symbol, one.first_ms))
    listings = [
        Listing(symbol, *_assets(symbol), status="RECORDED", listed_ms=first_ms)
        for symbol, first_ms in first.items()
    ]
    source = (
        f"the {len(first)} pairs recorded here, which somebody chose knowing their future; "
        "`workbench data universe --refresh` asks the exchange for all"
    )
    return Universe(venue, 0, in_order(listings), source)


def _assets(symbol: str) -> tuple[str, str]:
    if symbol in KNOWN:
        known = instrument(symbol)
        return known.base, known.quote
    for quote in ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY"):
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote), quote
    return symbol, ""


def _leveraged(base: str, bases: set[str]) -> bool:
    """Tell whether a base is another one with a lever, like BTCUP; JUP is not, as there is no J."""
    return any(base.endswith(one) and base.removesuffix(one) in bases for one in _LEVERAGED)
