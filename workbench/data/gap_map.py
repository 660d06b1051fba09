"""A gap map: where candles are, where they are missing, and to the candle why, as one inline picture.

Drawn as SVG without scripts, so it shows in a notebook, on a Voila page and in an exported file
alike, and takes the colour of the text around it. Each row is a stretch of time (a year, a month or a
day of one series, or the whole time of one of many). A hole narrower than two pixels is drawn two
pixels wide, or nobody would see a single missing hour in a year; its exact bounds are in its tooltip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from workbench.data.quality import Gap, Report
from workbench.data.times import iso
from workbench.market.timeframes import DAY_MS, TIMEFRAMES, YEAR_MS, Timeframe

_WIDTH, _LEFT, _RIGHT, _ROW, _BAR = 860, 118, 12, 20, 13
_HOLE, _HELD = "#d8434e", "#0f9d76"
_NARROWEST = 2.0
_TOLD = 4  # holes named in one tooltip


@dataclass(frozen=True, slots=True)
class Row:
    """One stretch of time [begin, end), of which [first, last) is covered but for the holes."""

    label: str
    begin_ms: int
    end_ms: int
    first_ms: int
    last_ms: int
    holes: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class GapMap:
    """Rows of time and what to write below them; shows itself in notebooks."""

    rows: tuple[Row, ...]
    ticks: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]

    def svg(self) -> str:
        """Return the picture."""
        height = len(self.rows) * _ROW + 24
        drawn = "".join(
            _drawn(row, timeframe, at * _ROW)
            for at, (row, timeframe) in enumerate(zip(self.rows, self.timeframes, strict=True))
        )
        missing = sum(gap.bars for row in self.rows for gap in row.holes)
        return (
            f'<svg role="img" aria-label="gap map: {missing} candles missing" '
            f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" style="max-width:100%;height:auto;'
            'font:11px system-ui,sans-serif" fill="currentColor">'
            f"{drawn}{_axis(self.ticks, len(self.rows) * _ROW)}</svg>"
        )

    def _repr_html_(self) -> str:
        return self.svg()


def calendar(report: Report, timeframe: Timeframe) -> GapMap:
    """Return the map of one series: a row a year, a month or a day, as its length asks for."""
    if report.first_ms is None or report.last_ms is None:
        return GapMap((), (), ())
    first_ms, last_ms = report.first_ms, timeframe.next(report.last_ms)
    rows = tuple(_calendar_rows(report.gaps, timeframe, first_ms, last_ms))
    ticks = _ticks_of(last_ms - first_ms)
    return GapMap(rows, ticks, (timeframe,) * len(rows))


def beside(reports: Sequence[tuple[str, Timeframe, Report]]) -> GapMap:
    """Return the map of many series under one time: a row a series, labelled as given."""
    there = [
        (label, timeframe, report, report.first_ms, timeframe.next(report.last_ms))
        for label, timeframe, report in reports
        if report.first_ms is not None and report.last_ms is not None
    ]
    if not there:
        return GapMap((), (), ())
    begin_ms, end_ms = min(one[3] for one in there), max(one[4] for one in there)
    rows = tuple(
        Row(label, begin_ms, end_ms, first_ms, last_ms, report.gaps)
        for label, _, report, first_ms, last_ms in there
    )
    ticks = tuple(iso(begin_ms + (end_ms - begin_ms) * part // 4)[:10] for part in range(4))
    return GapMap(rows, ticks, tuple(one[1] for one in there))


def _calendar_rows(
    gaps: Iterable[Gap], timeframe: Timeframe, first_ms: int, last_ms: int
) -> Iterator[Row]:
    gaps = list(gaps)
    begin_ms = _row_begin(first_ms, last_ms - first_ms)
    while begin_ms < last_ms:
        end_ms = _row_end(begin_ms, last_ms - first_ms)
        inside = tuple(
            gap
            for gap in gaps
            if gap.first_missing_ms < end_ms and timeframe.next(gap.last_missing_ms) > begin_ms
        )
        label = iso(begin_ms)[: _label_length(last_ms - first_ms)]
        covered = max(first_ms, begin_ms), min(last_ms, end_ms)
        yield Row(label, begin_ms, end_ms, *covered, inside)
        begin_ms = end_ms


def _row_begin(time_ms: int, span_ms: int) -> int:
    if span_ms > YEAR_MS:
        return int(datetime(_at(time_ms).year, 1, 1, tzinfo=UTC).timestamp()) * 1000
    if span_ms > 40 * DAY_MS:
        return TIMEFRAMES["1M"].floor(time_ms)
    return TIMEFRAMES["1d"].floor(time_ms)


def _row_end(begin_ms: int, span_ms: int) -> int:
    if span_ms > YEAR_MS:
        return int(datetime(_at(begin_ms).year + 1, 1, 1, tzinfo=UTC).timestamp()) * 1000
    if span_ms > 40 * DAY_MS:
        return TIMEFRAMES["1M"].next(begin_ms)
    return begin_ms + DAY_MS


def _label_length(span_ms: int) -> int:
    if span_ms > YEAR_MS:
        return 4
    return 7 if span_ms > 40 * DAY_MS else 10


def _ticks_of(span_ms: int) -> tuple[str, ...]:
    if span_ms > YEAR_MS:
        return tuple(f"{datetime(2024, month, 1):%b}" for month in range(1, 13))
    if span_ms > 40 * DAY_MS:
        return tuple(str(day) for day in range(1, 31, 5))
    return ("00:00", "06:00", "12:00", "18:00")


def _drawn(row: Row, timeframe: Timeframe, top: int) -> str:
    held = _bar(row, row.first_ms, row.last_ms, top, _HELD, "0.55", "")
    label = (
        f'<text x="{_LEFT - 8}" y="{top + _BAR - 2}" text-anchor="end">{escape(row.label)}</text>'
    )
    frame = (
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_BAR}" rx="2" '
        'fill="currentColor" fill-opacity="0.07"/>'
    )
    holes = "".join(
        _bar(row, begin_ms, end_ms, top, _HOLE, "1", told)
        for begin_ms, end_ms, told in _joined(row, timeframe)
    )
    return label + frame + held + holes


def _joined(row: Row, timeframe: Timeframe) -> Iterator[tuple[int, int, str]]:
    """Yield the holes of a row; those that would lie on the same pixels as one, with all told."""
    pixel_ms = (row.end_ms - row.begin_ms) / (_WIDTH - _LEFT - _RIGHT)
    waiting: list[Gap] = []
    edge_ms = 0.0
    for gap in row.holes:
        if waiting and gap.first_missing_ms > edge_ms:
            yield _hole(waiting, timeframe)
            waiting = []
        waiting.append(gap)
        end_ms = timeframe.next(gap.last_missing_ms)
        edge_ms = max(end_ms, gap.first_missing_ms + _NARROWEST * pixel_ms)
    if waiting:
        yield _hole(waiting, timeframe)


def _hole(gaps: list[Gap], timeframe: Timeframe) -> tuple[int, int, str]:
    told = [
        f"{iso(gap.first_missing_ms)} to {iso(gap.last_missing_ms)}: {gap.bars} missing, {gap.cause}"
        for gap in gaps[:_TOLD]
    ]
    if len(gaps) > _TOLD:
        told.append(f"and {len(gaps) - _TOLD} more gaps")
    return gaps[0].first_missing_ms, timeframe.next(gaps[-1].last_missing_ms), "\n".join(told)


def _bar(
    row: Row, begin_ms: int, end_ms: int, top: int, colour: str, opacity: str, told: str
) -> str:
    begin_ms, end_ms = max(begin_ms, row.begin_ms), min(end_ms, row.end_ms)
    scale = (_WIDTH - _LEFT - _RIGHT) / (row.end_ms - row.begin_ms)
    x, width = _LEFT + (begin_ms - row.begin_ms) * scale, (end_ms - begin_ms) * scale
    title = f"<title>{escape(told)}</title>" if told else ""
    return (
        f'<rect x="{x:.2f}" y="{top}" width="{max(width, _NARROWEST):.2f}" height="{_BAR}" '
        f'fill="{colour}" fill-opacity="{opacity}">{title}</rect>'
    )


def _axis(ticks: Sequence[str], top: int) -> str:
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(ticks))
    return "".join(
        f'<text x="{_LEFT + at * step:.1f}" y="{top + 12}" fill-opacity="0.65">{escape(one)}</text>'
        for at, one in enumerate(ticks)
    )


def _at(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
