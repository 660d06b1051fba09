"""What a series' manifest says: range, rows, gaps with cause, warnings, provenance, hash.

A manifest is derived from the stored candles and can be rebuilt from them, but for two things that
the candles cannot tell: why a gap is there, and what a source declared when it was asked. Both are
carried over from the manifest before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import polars as pl

from workbench.data.quality import Finding, Gap, Report
from workbench.data.schema import PROVENANCE
from workbench.data.times import iso

FORMAT = 1
_ABSENT = "absent at "


@dataclass(frozen=True, slots=True)
class Asking:
    """What was just asked for, of whom, and what was declared.

    `source` is where the series is collected from. `stretches` are the windows [start, end) that
    were asked for, of `asked_of` where that is another: a gap inside one of them is absent there.
    `declared` are warnings about the candles that no check of them alone can find.
    """

    source: str
    stretches: Sequence[tuple[int, int]] = ()
    declared: Sequence[Finding] = ()
    asked_of: str | None = None


def described(
    identity: Mapping[str, str],
    report: Report,
    *,
    before: Mapping[str, object] | None,
    asking: Asking,
    provenance: pl.DataFrame,
    revisions: int,
    sha256: str,
    collected_ms: int,
) -> dict[str, object]:
    """Return the manifest of a series, given its health and the manifest before."""
    causes = noted_causes(before)
    return {
        "format": FORMAT,
        **identity,
        "source": asking.source,
        "first": None if report.first_ms is None else iso(report.first_ms),
        "last": None if report.last_ms is None else iso(report.last_ms),
        "rows": report.rows,
        "missing": report.missing,
        "gaps": [_gap(gap, _cause(gap, asking, causes)) for gap in report.gaps],
        "warnings": {one.kind: one.count for one in report.warnings if one.kind != "gap"},
        "declared": _declared(before, asking),
        "provenance": [_source(row) for row in provenance.iter_rows(named=True)],
        "revisions": revisions,
        "sha256": sha256,
        "collected": iso(collected_ms),
    }


def noted_causes(manifest: Mapping[str, object] | None) -> dict[int, str]:
    """Return the cause that a manifest notes for each gap, by its first missing opening time."""
    gaps = manifest.get("gaps") if manifest else None
    if not isinstance(gaps, list):
        return {}
    return {int(gap["first_missing_ms"]): str(gap["cause"]) for gap in gaps}


def noted_declarations(manifest: Mapping[str, object] | None) -> tuple[Finding, ...]:
    """Return the warnings that sources declared when they were asked."""
    declared = manifest.get("declared") if manifest else None
    if not isinstance(declared, list):
        return ()
    return tuple(
        Finding(str(one["kind"]), int(one["count"]), tuple(one["at"]), str(one["message"]))
        for one in declared
    )


def same_but_for_time(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether two manifests say the same, whenever they were written."""
    return {**one, "collected": ""} == {**other, "collected": ""}


def _cause(gap: Gap, asking: Asking, noted: Mapping[int, str]) -> str:
    known = noted.get(gap.first_missing_ms, gap.cause)
    inside = any(
        start_ms <= gap.first_missing_ms and gap.last_missing_ms < end_ms
        for start_ms, end_ms in asking.stretches
    )
    asked_of = asking.asked_of or asking.source
    if not inside or asked_of in known:
        return known
    return f"{known}, {asked_of}" if known.startswith(_ABSENT) else f"{_ABSENT}{asked_of}"


def _gap(gap: Gap, cause: str) -> dict[str, object]:
    return asdict(gap) | {
        "cause": cause,
        "first_missing": iso(gap.first_missing_ms),
        "last_missing": iso(gap.last_missing_ms),
    }


def _declared(before: Mapping[str, object] | None, asking: Asking) -> list[dict[str, object]]:
    """Return all declarations, those of before first, none twice."""
    findings = dict.fromkeys([*noted_declarations(before), *asking.declared])
    return [asdict(one) | {"at": list(one.at)} for one in findings]


def _source(row: Mapping[str, object]) -> dict[str, object]:
    first, last = (f"{row[name]:%Y-%m-%dT%H:%M:%SZ}" for name in ("first", "last"))
    return {"from": row[PROVENANCE], "candles": row["candles"], "first": first, "last": last}
