"""The study's table and picture say what its frame holds."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.errors import DataError
from workbench.report.headline import CLAIMED, INTERVALS, headline_chart, headline_table


def study_frame() -> pl.DataFrame:
    """Return a study of two parameter sets and four timeframes with results that are easy to add.

    Honest results are 8 and −2, so their mean is 3; one scenario in two beats holding's 5.
    """
    symbol, _, days, slow_set = CLAIMED
    rows = [
        (symbol, interval, days, params, *values, *entered, 5.0)
        for interval in INTERVALS
        for params, values, entered in (
            (slow_set, (40.0, 4.0, 8.0), (True, False, True)),
            ("3/7/3", (60.0, -4.0, -2.0), (True, True, True)),
        )
    ]
    keys = ("published", "cold_start", "honest")
    schema = ["symbol", "interval", "days", "params", *keys, *(f"{k}_entered" for k in keys)]
    return pl.DataFrame(rows, schema=[*schema, "holding"], orient="row")


def test_the_table_answers_each_question_in_three_columns() -> None:
    answers = {row[0]: row[1:] for row in headline_table(study_frame()).iter_rows()}
    assert answers["mean of all"] == ("50.0 %", "0.0 %", "3.0 %", "5.0 %")
    assert answers["mean of 1w"] == ("50.0 %", "0.0 %", "3.0 %", "5.0 %")
    assert answers["XRPUSDT 1d 365d 30/60/15"] == ("40.0 %", "4.0 %", "8.0 %", "5.0 %")
    assert answers["mean of MACD 3/7/3"][:3] == (
        "60.0 % (rank 1 of 2)", "−4.0 % (rank 2 of 2)", "−2.0 % (rank 2 of 2)",
    )  # fmt: skip
    assert answers["best parameter set"][2] == "30/60/15  8.0 %"
    assert answers["entered and beat holding"][:3] == ("100.0 %", "0.0 %", "50.0 %")
    assert answers["never entered"][:3] == ("0", "4", "0")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_shows_each_mean_and_bars_by_timeframe(theme: str) -> None:
    chart = headline_chart(study_frame(), theme=theme)
    written = {text.get_text() for text in chart.texts}
    assert {"+50.0 %", "+0.0 %", "+3.0 %"} <= written
    heights = [[bar.get_height() for bar in axis.patches] for axis in chart.axes]
    assert heights == [[50.0] * 4, [0.0] * 4, [3.0] * 4]
    assert chart.png().startswith(b"\x89PNG")


def test_a_frame_that_is_not_the_study_is_refused() -> None:
    with pytest.raises(DataError, match="lacks days, holding, params"):
        headline_chart(study_frame().drop("days", "params", "holding"))
    with pytest.raises(DataError, match="lacks the claimed scenario"):
        headline_table(study_frame().filter(pl.col("interval") != "1d"))
