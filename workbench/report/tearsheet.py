"""The tear sheet of one backtest: its numbers, its pictures and its last trades on one card."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from workbench.data.atomic import replace_text
from workbench.report import charts, numbers
from workbench.report.page import page
from workbench.report.pieces import CARD, table
from workbench.report.theme import SCREEN_DPI, Chart, Theme, theme_named

if TYPE_CHECKING:
    from workbench.backtest.results import BacktestResult

Metric = float | int | bool | None
LAST_TRADES: Final = 8
MOST_UNNAMED: Final = 3  # parameters; a fourth needs its name
TILES: Final = ("total_return", "holding_return", "max_drawdown", "sharpe", "trades", "exposure")
HEADS: Final = {"total_return": "return", "max_drawdown": "drawdown"}
DIGITS: Final = {"final_equity": 2, "fees": 2}
SIGNED: Final = ("total_return", "holding_return", "cagr")


@dataclass(frozen=True, slots=True)
class Tearsheet:
    """What one run earned, beside holding; shows itself as a card and saves itself as a page."""

    title: str
    subtitle: str
    source: str
    metrics: dict[str, Metric]
    reasons: dict[str, str]
    notes: tuple[str, ...]
    trades: pl.DataFrame
    benchmarks: pl.DataFrame
    equity_chart: Chart
    candle_chart: Chart
    theme: Theme

    def save(self, path: Path) -> Path:
        """Write the sheet as one page that loads nothing."""
        text = page(title=self.title, body=self._repr_html_(), theme=self.theme.name)
        replace_text(path, text)
        return path

    def table(self) -> pl.DataFrame:
        """Return the metrics as text, with the reason for each that cannot be computed."""
        rows = [
            (numbers.spoken(name), written(name, value), self.reasons.get(name, ""))
            for name, value in self.metrics.items()
        ]
        return pl.DataFrame(rows, schema=["metric", "value", "reason"], orient="row")

    def _repr_html_(self) -> str:
        parts = (
            f'<div class="wb-sheet wb-{self.theme.name}"><style>{CARD}</style>',
            heading(self.title, self.subtitle, self.source),
            _tiles(self.metrics),
            picture(self.equity_chart, "Equity beside holding, and drawdown"),
            picture(self.candle_chart, "The last candles with their fills"),
            '<div class="wb-columns">',
            metric_table(self.metrics, self.reasons),
            '<div class="wb-stack">',
            _benchmark_table(self.benchmarks),
            _trade_table(self.trades),
            "</div>",
            "</div>",
            "".join(f'<p class="wb-note">{html.escape(note)}</p>' for note in self.notes),
            "</div>",
        )
        return "\n".join(parts)

    def __repr__(self) -> str:
        told = [f"{name} {written(name, self.metrics.get(name))}" for name in TILES]
        return f"Tearsheet({self.title}: {', '.join(told)})"


def tearsheet(run: BacktestResult, *, theme: str | Theme = "light") -> Tearsheet:
    """Return the tear sheet of a backtest; the candles drawn are the last of its window."""
    look = theme_named(theme)
    candles, first, last = run.candles, run.equity["open_time"][0], run.equity["open_time"][-1]
    title = f"{candles.symbol} {candles.timeframe} · {run.spec.name} {_values(run)}".rstrip()
    costs = run.costs
    subtitle = (
        f"{first:%Y-%m-%d} to {last:%Y-%m-%d} · {numbers.count(len(run.equity))} candles · "
        f"{costs.fee_bps:g} bps fee, {costs.slippage_bps:g} bps slippage a side · "
        f"filters {costs.filters} · {run.engine}"
    )
    held = run.equity["holding"]
    metrics = _with_holding(run.metrics, held[-1] / held[0] - 1.0)
    source, mark = candles.source, candles.source if candles.synthetic else ""
    return Tearsheet(
        title=title,
        subtitle=subtitle,
        source=source,
        metrics=metrics,
        reasons=run.reasons,
        notes=run.notes,
        trades=run.trades,
        benchmarks=run.benchmarks(),
        equity_chart=charts.equity(run.equity, source=mark, theme=look),
        candle_chart=charts.candles(
            candles.frame(), trades=run.trades, title="The last candles", source=mark, theme=look
        ),
        theme=look,
    )


def written(name: str, value: Metric) -> str:
    """Write one metric: ratios in percent, money with two decimals, what is missing as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in numbers.RATIOS:
        return numbers.percent(value, 1, sign=name in SIGNED and value != 0)
    if isinstance(value, int):
        return numbers.count(value)
    return numbers.plain(value, DIGITS.get(name, 2))


def _with_holding(metrics: Mapping[str, Metric], holding: float) -> dict[str, Metric]:
    """Return the metrics with holding right behind the total return."""
    pairs = []
    for name, value in metrics.items():
        pairs.append((name, value))
        if name == "total_return":
            pairs.append(("holding_return", holding))
    return dict(pairs)


def _values(run: BacktestResult) -> str:
    """Return 12/26/9; of many parameters, the names and values of those that are not the default."""
    if len(run.params) <= MOST_UNNAMED:
        return "/".join(f"{value:g}" for value in run.params.values())
    usual = run.spec.defaults
    changed = {name: value for name, value in run.params.items() if value != usual[name]}
    return ", ".join(f"{name} {value:g}" for name, value in changed.items())


def heading(title: str, subtitle: str, source: str) -> str:
    """Return the head of a card; a SYNTHETIC source is written loudly."""
    kind = "wb-synthetic" if source.startswith("SYNTHETIC") else "wb-source"
    return (
        f'<div class="wb-head"><div><h3>{html.escape(title)}</h3>'
        f"<p>{html.escape(subtitle)}</p></div>"
        f'<span class="{kind}">{html.escape(source)}</span></div>'
    )


def _tiles(metrics: dict[str, Metric]) -> str:
    tiles = []
    for name in TILES:
        value = metrics.get(name)
        sign = ""
        if name == "total_return" and isinstance(value, float):
            sign = " wb-up" if value >= 0 else " wb-down"
        tiles.append(
            f'<div class="wb-tile"><b class="{sign.strip()}">{written(name, value)}</b>'
            f"<span>{numbers.spoken(name)}</span></div>"
        )
    return f'<div class="wb-tiles">{"".join(tiles)}</div>'


def picture(chart: Chart, alternative: str) -> str:
    """Return a chart as an image that loads nothing."""
    data = base64.b64encode(chart.png()).decode("ascii")
    width = int(float(chart.get_size_inches()[0]) * SCREEN_DPI)
    return (
        f'<img alt="{html.escape(alternative)}" width="{width}" src="data:image/png;base64,{data}">'
    )


def metric_table(metrics: Mapping[str, Metric], reasons: Mapping[str, str]) -> str:
    """Return every metric by its spoken name, with the reason of one that is missing."""
    rows = [
        (numbers.spoken(name), written(name, value), reasons.get(name, ""))
        for name, value in metrics.items()
    ]
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}"
        + (f"<small>{html.escape(reason)}</small>" if reason else "")
        + "</td></tr>"
        for name, value, reason in rows
    )
    return f"<table><caption>All metrics</caption><tbody>{body}</tbody></table>"


def _benchmark_table(benchmarks: pl.DataFrame) -> str:
    """Return the strategy beside what asks no skill; bitcoin beside itself is told once."""
    held = benchmarks.filter(name="holding").row(0)[2:]
    head = ["", *(HEADS.get(name, numbers.spoken(name)) for name in benchmarks.columns[2:])]
    rows = []
    for row in benchmarks.iter_rows(named=True):
        if row["name"] == "bitcoin" and tuple(row.values())[2:] == held:
            continue
        figures = [written(name, row[name]) for name in benchmarks.columns[2:]]
        said = f"basket of {row['symbols']}" if row["name"] == "basket" else row["name"]
        rows.append([said, *figures])
    return table("Beside what asks no skill", head, rows)


def _trade_table(trades: pl.DataFrame) -> str:
    names = ("Bought", "at", "Sold", "at", "Result", "")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(_trade_row(trade) for trade in trades.tail(LAST_TRADES).iter_rows(named=True))
    body = rows or '<tr><td colspan="6">no trade in this window</td></tr>'
    shown = min(LAST_TRADES, trades.height)
    caption = f"Last {shown} of {numbers.count(trades.height)} round trips"
    return (
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _trade_row(trade: dict[str, object]) -> str:
    earned = trade["return"]
    colour = "wb-up" if isinstance(earned, float) and earned >= 0 else "wb-down"
    cells: Sequence[str] = (
        _minute(trade["entry_time"]),
        numbers.price(_number(trade["entry_price"])),
        _minute(trade["exit_time"]) if trade["exit_time"] is not None else "open",
        numbers.price(_number(trade["exit_price"])),
        numbers.plain(_number(trade["pnl"]), 2, sign=True),
    )
    last = f'<td class="{colour}">{numbers.percent(_number(earned), 2, sign=True)}</td>'
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}{last}</tr>"


def _minute(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
