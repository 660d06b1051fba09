"""The gap map and the health page: every hole told with its bounds, nothing loaded, nothing hidden."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.conftest import JANUARY_2024_MS, candle_frame
from workbench.data import Places
from workbench.data.gap_map import beside, calendar
from workbench.data.health import Health, gap_map, health
from workbench.data.quality import Report, check
from workbench.market.timeframes import TIMEFRAMES

HOLE = "#d8434e"
H1, D1 = TIMEFRAMES["1h"], TIMEFRAMES["1d"]


def holes_drawn(svg: str) -> list[tuple[float, float, float, str]]:
    """Return x, y, width and tooltip of every hole in a picture."""
    root = ElementTree.fromstring(svg)
    return [
        (
            float(one.get("x", "")),
            float(one.get("y", "")),
            float(one.get("width", "")),
            one[0].text or "",
        )
        for one in root.iter("rect")
        if one.get("fill") == HOLE
    ]


def report_without(missing: set[int], count: int, interval: str = "1h") -> Report:
    frame = candle_frame(count, interval)
    kept = [at for at in range(count) if at not in missing]
    return check(frame[kept], interval)


def test_a_hole_lies_where_its_hours_lie_and_its_tooltip_has_the_bounds() -> None:
    """Hours 6 to 11 of 2024-01-02: the second row of days, its second quarter."""
    report = report_without(set(range(30, 36)), 72)
    ((x, y, width, told),) = holes_drawn(calendar(report, H1).svg())
    left, whole = 118, 860 - 118 - 12
    assert (x, width) == (
        pytest.approx(left + whole / 4, abs=0.01),
        pytest.approx(whole / 4, abs=0.01),
    )
    assert y == 20
    assert told == "2024-01-02T06:00Z to 2024-01-02T11:00Z: 6 missing, unknown"


def test_a_single_hour_in_years_can_still_be_seen() -> None:
    ((_, y, width, told),) = holes_drawn(calendar(report_without({9_000}, 20_000), H1).svg())
    assert (width, y) == (2.0, 20)  # the second year
    assert told.startswith("2025-01-10T00:00Z to 2025-01-10T00:00Z: 1 missing")


def test_holes_on_the_same_pixels_are_one_mark_that_tells_them_all() -> None:
    marks = holes_drawn(calendar(report_without({9_000, 9_004, 9_008}, 20_000), H1).svg())
    assert len(marks) == 1
    assert marks[0][3].count("1 missing") == 3


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(1, 898), max_size=60))
def test_every_gap_is_told_in_the_rows_that_it_touches(missing: set[int]) -> None:
    report = report_without(missing, 900)
    rows = calendar(report, H1).rows
    assert all(one.end_ms == two.begin_ms for one, two in itertools.pairwise(rows))
    assert {gap for row in rows for gap in row.holes} == set(report.gaps)
    for gap in report.gaps:
        touched = [
            row
            for row in rows
            if row.begin_ms < H1.next(gap.last_missing_ms) and gap.first_missing_ms < row.end_ms
        ]
        assert all(gap in row.holes for row in touched)


@pytest.mark.parametrize(
    ("count", "interval", "labels"),
    [
        (60, "1h", ["2024-01-01", "2024-01-02", "2024-01-03"]),
        (60, "1d", ["2024-01", "2024-02"]),
        (400, "1d", ["2024", "2025"]),
        (14, "1M", ["2024", "2025"]),
    ],
)
def test_rows_are_days_months_or_years(count: int, interval: str, labels: list[str]) -> None:
    map_ = calendar(report_without(set(), count, interval), TIMEFRAMES[interval])
    assert [row.label for row in map_.rows] == labels
    assert holes_drawn(map_.svg()) == []


def test_many_series_lie_under_one_time() -> None:
    early, late = report_without({5}, 10, "1d"), report_without(set(), 30, "1d")
    map_ = beside(
        [("A <1d>", D1, early), ("B", D1, late), ("empty", D1, check(candle_frame(1)[:0], "1d"))]
    )
    assert [row.label for row in map_.rows] == ["A <1d>", "B"]
    assert {(row.begin_ms, row.end_ms) for row in map_.rows} == {
        (JANUARY_2024_MS, JANUARY_2024_MS + 30 * 86_400_000)
    }
    (mark,) = holes_drawn(map_.svg())
    assert mark[1] == 0
    assert "A &lt;1d&gt;" in map_._repr_html_()


def test_nothing_at_all_is_an_empty_map() -> None:
    assert calendar(check(candle_frame(1)[:0], "1h"), H1).rows == ()
    ElementTree.fromstring(beside([]).svg())


def shown(report: Report, source: str = "a test") -> str:
    return Health("BTCUSDT", "1h", source, report)._repr_html_()


def test_the_page_gives_a_verdict_the_findings_and_every_gap() -> None:
    frame = candle_frame(100)
    assert "healthy</span>" in shown(check(frame, "1h"))
    page = shown(check(frame[[*range(40), *range(44, 100)]], "1h"))
    assert "usable, with a look at the warnings</span>" in page
    assert "2024-01-02T16:00Z</td>" in page
    assert "2024-01-02T19:00Z</td><td>4</td>" in page.replace(' class="time"', "")
    bad = frame.with_columns(pl.col("open_time") + timedelta(minutes=1))
    page = shown(check(bad, "1h"))
    assert "cannot be used</span>" in page
    assert "100 candles do not open on a whole 1h" in page


def test_the_page_loads_nothing_and_believes_no_name() -> None:
    page = shown(check(candle_frame(10), "1h"), source="<script>alert(1)</script>")
    assert "<script" not in page
    assert "http" not in page
    assert "&lt;script&gt;" in page


def test_the_recorded_hours_show_their_twenty_gaps(shared_data: Path) -> None:
    places = Places(shared_data, None, None)
    found = health("BTCUSDT", "1h", places=places)
    marks = holes_drawn(found.gap_map().svg())
    assert sum(mark[3].count(" missing, ") for mark in marks) == 20
    last = marks[-1]
    assert last[3].startswith("2023-03-24T13:00Z to 2023-03-24T13:00Z: 1 missing, exchange outage")
    assert last[1] == 20 * 4  # 2019 is the first row
    many = gap_map([found, health("ETHUSDT", "1d", places=places)])
    assert [row.label for row in many.rows] == ["BTCUSDT 1h", "ETHUSDT 1d"]
