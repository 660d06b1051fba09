"""What a check of bias shows of itself: the verdict, each question with its count, and the warm-up."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from workbench.report import numbers
from workbench.report.pieces import card, notes, table
from workbench.report.tearsheet import heading

if TYPE_CHECKING:
    from workbench.analysis.bias import BiasReport, Check

_TONES = {"clean": "wb-up", "open": "wb-dim", "biased": "wb-down"}


def bias_card(report: BiasReport) -> str:
    """Return the report as HTML."""
    return card(
        (
            heading(report.title, _subtitle(report), report.source),
            _banner(report),
            '<div class="wb-columns">',
            _checks(report),
            _warm_up(report),
            "</div>",
            notes(report.notes),
        )
    )


def _subtitle(report: BiasReport) -> str:
    asked = sum(one.looked_at for one in report.checks)
    return f"{len(report.checks)} checks, {numbers.count(asked)} comparisons"


def _banner(report: BiasReport) -> str:
    colour = "green" if report.passed else "red"
    text = report.verdict[:1].upper() + report.verdict[1:]
    return f'<div class="wb-verdict wb-{colour}"><b>{html.escape(text)}</b></div>'


def _checks(report: BiasReport) -> str:
    head = "".join(
        f"<th>{name}</th>" for name in ("check", "outcome", "gate", "looked at", "differ")
    )
    rows = "".join(_row(one) for one in report.checks)
    return (
        '<table class="wb-gates"><caption>What was asked</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(check: Check) -> str:
    outcome = check.outcome.value
    told = f"<small>{html.escape(check.said)}</small>" if check.said else ""
    return (
        f"<tr><td>{html.escape(check.name)}{told}</td>"
        f'<td class="{_TONES[outcome]}">{outcome}</td><td>{html.escape(check.gate)}</td>'
        f"<td>{numbers.count(check.looked_at)}</td><td>{numbers.count(check.differ)}</td></tr>"
    )


def _warm_up(report: BiasReport) -> str:
    if not report.warm_up:
        return ""
    rows = [
        (
            one.label, numbers.count(one.candles), numbers.count(one.bars),
            f"{one.difference:.1e} of {one.of}" if one.of else numbers.MISSING, numbers.count(one.flips),
        )
        for one in report.warm_up
    ]  # fmt: skip
    head = ("begun anew", "candles before", "bars", "the start weighs", "decisions changed")
    return table("What the start still weighs", head, rows)
