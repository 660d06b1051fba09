"""What a verdict shows of itself: the colour and why, every gate with value and threshold, the terms around."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from workbench.backtest.verdict.result import Outcome
from workbench.report import numbers
from workbench.report.pieces import card, notes, table, tiles
from workbench.report.tearsheet import heading

if TYPE_CHECKING:
    from workbench.backtest.verdict.result import CostRow, Gate, VerdictResult

_TONES: Final = {
    Outcome.FAILED: "wb-down", Outcome.TOO_LITTLE: "wb-warn", Outcome.MISSED: "wb-warn",
    Outcome.UNDECIDED: "wb-dim", Outcome.PASSED: "wb-up",
}  # fmt: skip


def verdict_card(result: VerdictResult) -> str:
    """Return a verdict as HTML."""
    title, _, of = result.title.partition(", of ")
    said = (
        result.chosen,
        f"of {of}" if of else "",
        f"exits {result.exits}" if result.exits else "",
    )
    return card(
        (
            heading(f"Verdict on {title}", " · ".join(one for one in said if one), result.source),
            _banner(result),
            tiles(_figures(result)),
            '<div class="wb-columns">', _gates(result.gates), '<div class="wb-stack wb-aside">',
            _terms("At other costs", "cost", result.costs),
            _terms("Orders that come later", "candles", result.delays),
            _pasts(result), _quarters(result.years),
            "</div>", "</div>",
            notes(result.notes),
        )
    )  # fmt: skip


def _banner(result: VerdictResult) -> str:
    colour = result.colour.value
    return (
        f'<div class="wb-verdict wb-{colour}"><b>{colour.upper()}</b>'
        f"<span>{html.escape(result.why)}</span></div>"
    )


def _figures(result: VerdictResult) -> dict[str, str]:
    told = result.figures
    return {
        "Sharpe": numbers.plain(told.get("sharpe")),
        "best by luck": numbers.plain(told.get("lucky_sharpe")),
        "trials": numbers.count(_whole(told.get("trials"))),
        "deflated Sharpe": numbers.plain(told.get("dsr"), 3),
        "PBO": numbers.plain(told.get("pbo")),
        "return": numbers.percent(told.get("total_return"), sign=True),
        "holding": numbers.percent(told.get("holding_total_return"), sign=True),
    }


def _gates(gates: tuple[Gate, ...]) -> str:
    rows = "".join(_gate(gate) for gate in gates)
    head = "".join(f"<th>{name}</th>" for name in ("gate", "outcome", "found", "asked"))
    return (
        f'<table class="wb-gates"><caption>{len(gates)} gates</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _gate(gate: Gate) -> str:
    told = f"<small>{html.escape(gate.told)}</small>" if gate.told else ""
    return (
        f"<tr><td>{html.escape(gate.name)}{told}</td>"
        f'<td class="{_TONES[gate.outcome]}">{gate.outcome.value}</td>'
        f"<td>{html.escape(gate.found)}</td><td>{html.escape(gate.asked)}</td></tr>"
    )


def _terms(caption: str, name: str, rows: tuple[CostRow, ...]) -> str:
    if not rows:
        return ""
    body = [
        [
            row.label,
            numbers.percent(row.total_return, sign=True),
            numbers.plain(row.sharpe),
            numbers.count(row.trades),
        ]
        for row in rows
    ]
    return table(caption, (name, "return", "Sharpe", "trades"), body)


def _pasts(result: VerdictResult) -> str:
    told = result.figures
    if told.get("drawdown_p05") is None:
        return ""
    rows = [
        [label, *(write(told.get(f"{name}_{at}")) for at in ("p05", "p50", "p95"))]
        for label, name, write in (
            ("worst drawdown", "drawdown", numbers.percent),
            ("total return", "growth", numbers.percent),
            ("days under water", "under_water", _days),
        )
    ]
    return table("Pasts that might have been", ("", "5 %", "half", "95 %"), rows)


def _quarters(years: dict[str, list[float | None]]) -> str:
    rows = [
        [year, *(numbers.percent(one, sign=True) for one in quarters)]
        for year, quarters in years.items()
    ]
    return table("By quarter", ("", "Q1", "Q2", "Q3", "Q4"), rows)


def _days(value: float | int | None) -> str:
    return numbers.plain(value, 0)


def _whole(value: float | int | None) -> int | None:
    return None if value is None else int(value)
