"""What a check of bias shows of itself: the verdict, each question with its count, and the warm-up."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from workbench.report import numbers
from workbench.report.pieces import card, notes, table
from workbench.report.tearsheet import heading

if TYPE_CHECKING:
    from workbench.analysis.bias import BiasReport, Check

_TOLD = {"clean": "clean", "open": "open", "biased": "BIASED"}


def bias_card(report: BiasReport) -> str:
    """Return the report as HTML."""
    return card(
        (
            heading(report.title, _subtitle(report), report.source),
            _verdict(report),
            _checks(report),
            _warm_up(report),
            notes(report.notes),
        )
    )


def _subtitle(report: BiasReport) -> str:
    asked = sum(one.looked_at for one in report.checks)
    return f"{len(report.checks)} checks, {numbers.count(asked)} comparisons"


def _verdict(report: BiasReport) -> str:
    colour = "wb-up" if report.passed else "wb-down"
    text = report.verdict[:1].upper() + report.verdict[1:]
    return f'<p class="wb-verdict"><b class="{colour}">{html.escape(text)}</b></p>'


def _checks(report: BiasReport) -> str:
    head = ("check", "gate", "outcome", "looked at", "differ", "found")
    return table("What was asked", head, [_row(one) for one in report.checks])


def _row(check: Check) -> tuple[str, ...]:
    return (
        check.name, check.gate, _TOLD[check.outcome.value], numbers.count(check.looked_at),
        numbers.count(check.differ), check.said,
    )  # fmt: skip


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
