"""What backtest, sweep and parity take in common, and how their values are written."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from workbench.errors import UsageError
from workbench.strategies.spec import Number

MAX_AXIS = 50_000_000

Symbol = Annotated[str, typer.Option(help="Trading pair, e.g. BTCUSDT.")]
Interval = Annotated[str, typer.Option(help="Candle interval, e.g. 1h, 4h, 1d.")]
Start = Annotated[str | None, typer.Option(help="First candle, ISO time in UTC.")]
End = Annotated[str | None, typer.Option(help="End (exclusive), ISO time in UTC.")]
Strategy = Annotated[str, typer.Option(help="Name of a strategy.")]
FeeBps = Annotated[float, typer.Option(help="Fee a side in basis points.")]
SlippageBps = Annotated[float, typer.Option(help="Slippage a side in basis points.")]
Cash = Annotated[float, typer.Option(help="Starting cash in quote.")]
FilterName = Literal["none", "exchange"]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def filters(text: str) -> FilterName:
    """Return the name of the filters; UsageError for another."""
    if text == "none":
        return "none"
    if text == "exchange":
        return "exchange"
    raise UsageError(f"--filters {text!r} is unknown; use exchange or none")


def parse_params(text: str) -> dict[str, Number]:
    """Return "fast=12,slow=26" as numbers; UsageError where a part is no name=number."""
    return {name: parse_number(value, name) for name, value in _pairs(text)}


def parse_grid(text: str) -> dict[str, list[Number]]:
    """Return "fast=2:20,slow=10:60:2,signal=5|7|9" as axes; a range includes its stop.

    Raises UsageError for a part that is none of these, a step that is not above 0 or an axis of more
    than fifty million values.
    """
    return {name: _axis(value, name) for name, value in _pairs(text)}


def parse_number(text: str, name: str) -> Number:
    """Return a number, whole where it is written so."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name}={text!r} is not a number; write {name}=12") from None


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise UsageError(f"{part!r} is not name=value; write e.g. fast=12,slow=26")
        if name in dict(pairs):
            raise UsageError(f"{name} is given twice in {text!r}; give it once")
        pairs.append((name, value))
    return pairs


def _axis(text: str, name: str) -> list[Number]:
    if "|" in text:
        return [parse_number(one, name) for one in text.split("|")]
    if ":" not in text:
        return [parse_number(text, name)]
    bounds = [parse_number(one, name) for one in text.split(":")]
    if len(bounds) not in (2, 3):
        raise UsageError(f"{name}={text} is not start:stop[:step]")
    start, stop, step = (*bounds, 1)[:3]
    if step <= 0 or stop < start:
        raise UsageError(
            f"{name}={text}: the step must be above 0 and the stop not below the start"
        )
    count = int((stop - start) / step + 1e-9) + 1
    if count > MAX_AXIS:
        raise UsageError(f"{name}={text} has {count:,} values; at most {MAX_AXIS:,}")
    return [start + i * step for i in range(count)]
