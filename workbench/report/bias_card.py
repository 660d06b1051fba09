"""What a check of bias shows of itself: the verdict, each question with its count, and the warm-up."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from workbench.analysis.bias import Outcome
from workbench.report import numbers
from workbench.report.pieces import card, notes, table
from workbench.report.tearsheet import heading

if TYPE_CHECKING:
    from workbench.analysis.bias import BiasReport, Check

_TONES: Final = {Outcome.CLEAN: "wb-up", Outcome.OPEN: "wb-warn", Outcome.BIASED: "wb-down"}
_HEAD: Final = ("check", "outcome", "looked at", "differ", "found")


def bias_card(report: BiasReport) -> str:
    """Return the report as HTML."""
    return card(
        (
            heading(f"Bias of {report.title}", _subtitle(report), report.source),
            _banner(report),
            '<div class="wb-columns">', _checks(report), _warm_up(report), "</div>",
            notes(report.notes),
        )
    )  # fmt: skip


def _subtitle(report: BiasReport) -> str:
    asked = sum(one.looked_at for one in report.checks)
    return f"{len(report.checks)} checks, {numbers.count(asked)} comparisons"


def _banner(report: BiasReport) -> str:
    found = [one.outcome for one in report.checks]
    undecided, biased = Outcome.OPEN in found, Outcome.BIASED in found
    colour = "red" if biased else "amber" if undecided else "green"
    word, _, rest = report.verdict.partition(" ") if not report.passed else ("CLEAN", "", "")
    return (
        f'<div class="wb-verdict wb-{colour}"><b>{"OPEN" if report.passed and undecided else word}</b>'
        f"<span>{html.escape(rest or report.verdict)}</span></div>"
    )


def _checks(report: BiasReport) -> str:
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    rows = "".join(_row(one) for one in report.checks)
    return (
        f'<table class="wb-gates"><caption>What was asked</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _row(check: Check) -> str:
    return (
        f'<tr><td>{html.escape(check.name)}</td><td class="{_TONES[check.outcome]}">'
        f"{check.outcome.value}</td><td>{numbers.count(check.looked_at)}</td>"
        f"<td>{numbers.count(check.differ)}</td><td>{html.escape(check.said)}</td></tr>"
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
