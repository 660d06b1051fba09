"""What backtest, sweep and parity take in common, and how their values are written."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workbench.errors import UsageError
from workbench.execution.pairs import pairs_of
from workbench.strategies.spec import Number

if TYPE_CHECKING:
    import polars as pl

MOST_VALUES = 1_000_000

Symbol = Annotated[str, typer.Option(help="Trading pair, e.g. BTCUSDT.")]
Interval = Annotated[str, typer.Option(help="Candle interval, e.g. 1h, 4h, 1d.")]
Start = Annotated[str | None, typer.Option(help="First candle, ISO time in UTC.")]
End = Annotated[str | None, typer.Option(help="End (exclusive), ISO time in UTC.")]
Strategy = Annotated[str, typer.Option(help="Name of a strategy.")]
FeeBps = Annotated[float, typer.Option(help="Fee a side in basis points.")]
SlippageBps = Annotated[float, typer.Option(help="Slippage a side in basis points.")]
Cash = Annotated[float, typer.Option(help="Starting cash in quote.")]
Exits = Annotated[
    str,
    typer.Option(help="e.g. stop=2%,take_profit=3atr,trail=0,atr_period=14,time_stop=48"),
]
SweptExits = Annotated[
    str, typer.Option(help="e.g. stop=1%:5%:1%,take_profit=2atr|3atr,time_stop=48")
]
SweptFilters = Annotated[str, typer.Option(help="none or exchange.")]
Guards = Annotated[
    str, typer.Option(help="e.g. trades_a_day=2,daily_loss=3%,drawdown=20%,volatility=0.5")
]
Fine = Annotated[
    str | None,
    typer.Option(help="A finer interval, e.g. 1m, that tells which of two exits came first."),
]
FilterName = Literal["none", "exchange"]
TradesOut = Annotated[Path | None, typer.Option(help="Write round trips (parquet).")]
EquityOut = Annotated[Path | None, typer.Option(help="Write equity (parquet).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with --out where an earlier run ended.")
]


def filters(text: str) -> FilterName:
    """Return the name of the filters; UsageError for another."""
    if text == "none":
        return "none"
    if text == "exchange":
        return "exchange"
    raise UsageError(f"--filters {text!r} is unknown; use exchange or none")


@contextmanager
def resumable(out: Path | None, *, resume: bool) -> Iterator[None]:
    """Say after Ctrl-C how a run with --out goes on; UsageError for --resume without it."""
    if resume and out is None:
        raise UsageError("--resume needs --out, the file that an earlier run began")
    try:
        yield
    except KeyboardInterrupt:
        if out is not None:
            typer.echo("what is finished is kept: the same call with --resume goes on", err=True)
        raise


def demand_places(*paths: Path | None) -> None:
    """Raise DataError before any work where one of the files could not be written after it."""
    from workbench.data.atomic import demand_place

    for path in paths:
        if path:
            demand_place(path)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as a parquet file, whole or not at all; DataError where that cannot be."""
    import io

    from workbench.data.atomic import replace_bytes

    content = io.BytesIO()
    frame.write_parquet(content)
    replace_bytes(path, content.getvalue())


def order_kind(text: str) -> Literal["market", "limit"]:
    """Return the kind of orders; UsageError for another."""
    if text == "market":
        return "market"
    if text == "limit":
        return "limit"
    raise UsageError(f"--orders {text!r} is unknown; use market or limit")


def parse_params(text: str) -> dict[str, Number]:
    """Return "fast=12,slow=26" as numbers; UsageError where a part is no name=number."""
    return {name: parse_number(value, name) for name, value in _pairs(text).items()}


def parse_grid(text: str) -> dict[str, Sequence[Number]]:
    """Return "fast=2:20,slow=10:60:2,signal=5|7|9" as axes; a range includes its stop.

    Raises UsageError for a part that is none of these, a step that is not above 0 or an axis of more
    than a million values.
    """
    return {name: _axis(value, name) for name, value in _pairs(text).items()}


def read_toml(file: Path) -> dict[str, object]:
    """Return the tables of a TOML file; UsageError where it cannot be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file.name} is no TOML file: {error}") from None


def demand_keys(tree: object, known: Collection[str], where: str) -> dict[str, object]:
    """Return a table of a TOML file; UsageError where it is none, or has a key that is not known."""
    if not isinstance(tree, dict):
        raise UsageError(f"{where} is no table")
    for key in tree:
        if key not in known:
            raise UsageError(
                f"{where} has an unknown key {key!r}; known are {', '.join(sorted(known))}"
            )
    return tree


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


def _pairs(text: str) -> dict[str, str]:
    return pairs_of(text, example="fast=12,slow=26")


def _axis(text: str, name: str) -> Sequence[Number]:
    if "|" in text:
        return [parse_number(one, name) for one in text.split("|")]
    if ":" not in text:
        return [parse_number(text, name)]
    bounds = [parse_number(one, name) for one in text.split(":")]
    if len(bounds) not in (2, 3):
        raise UsageError(f"{name}={text} is not start:stop[:step]")
    start, stop, step = (*bounds, 1)[:3]
    if not all(math.isfinite(one) for one in (start, stop, step)):
        raise UsageError(f"{name}={text} has a bound that is not finite")
    if step <= 0 or stop < start:
        raise UsageError(
            f"{name}={text}: the step must be above 0 and the stop not below the start"
        )
    count = int((stop - start) / step + 1e-9) + 1
    if count > MOST_VALUES:
        raise UsageError(
            f"{name}={text} has {count:,} values; at most {MOST_VALUES:,}: make the step larger"
        )
    return [start + i * step for i in range(count)]
