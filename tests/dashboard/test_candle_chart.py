"""The candle chart: what travels to the browser, and when."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bridge.dashboard.candle_chart import CandleChart, rows_of
from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import parse_timeframe

MINUTE_MS = 60_000


def candle_rows(first: int, count: int) -> np.ndarray:
    """Return rows whose close is the candle's number."""
    n = np.arange(first, first + count, dtype=np.float64)
    return np.column_stack([n * MINUTE_MS, n + 0.5, n + 1, n, n + 0.75, np.full(count, 2.0)])


def sent_by(chart: CandleChart, monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, np.ndarray]]:
    """Record the messages that a chart sends, with their rows."""
    sent: list[tuple[dict, np.ndarray]] = []

    def record(content: dict, buffers: list[bytes]) -> None:
        sent.append((content, np.frombuffer(buffers[0]).reshape(-1, 6)))

    monkeypatch.setattr(chart, "send", record)
    return sent


def test_history_travels_as_six_float64_a_candle() -> None:
    chart = CandleChart()
    chart.set_candles(candle_rows(1, 3))
    assert np.frombuffer(chart.history).reshape(-1, 6).tolist() == candle_rows(1, 3).tolist()
    assert chart.series == 1
    assert chart.last_time_ms == 3 * MINUTE_MS


def test_a_later_candle_is_one_message_and_leaves_the_history_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chart = CandleChart()
    chart.set_candles(candle_rows(1, 3))
    sent = sent_by(chart, monkeypatch)
    before = chart.history
    chart.add_candles(candle_rows(4, 1))
    assert chart.history == before
    assert sent[0][0] == {"kind": "bars", "series": 1}
    assert sent[0][1].tolist() == candle_rows(4, 1).tolist()


def test_candles_older_than_the_newest_are_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = CandleChart()
    chart.set_candles(candle_rows(1, 3))
    sent = sent_by(chart, monkeypatch)
    chart.add_candles(candle_rows(1, 2))
    assert sent == []
    chart.add_candles(candle_rows(2, 3))
    assert sent[0][1][:, 0].tolist() == [3 * MINUTE_MS, 4 * MINUTE_MS]


def test_a_view_that_is_created_again_gets_what_came_since(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = CandleChart()
    chart.set_candles(candle_rows(1, 3))
    chart.add_candles(candle_rows(4, 2))
    chart.add_candles(candle_rows(6, 1))
    sent = sent_by(chart, monkeypatch)
    chart._handle_custom_msg({"kind": "ready"}, [])
    assert [rows[:, 0].tolist() for _, rows in sent] == [
        [4 * MINUTE_MS, 5 * MINUTE_MS, 6 * MINUTE_MS]
    ]


def test_a_new_history_forgets_the_candles_that_came_since(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = CandleChart()
    chart.set_candles(candle_rows(1, 3))
    chart.add_candles(candle_rows(4, 2))
    chart.set_candles(candle_rows(100, 2))
    sent = sent_by(chart, monkeypatch)
    chart._handle_custom_msg({"kind": "ready"}, [])
    assert sent == []
    assert chart.series == 2
    assert chart.last_time_ms == 101 * MINUTE_MS


def test_a_chart_of_candles_shows_their_window_and_says_when_they_are_synthetic() -> None:
    rows = candle_rows(1, 5)
    records = records_from_columns(
        rows[:, 0].astype(np.int64), *(rows[:, i] for i in range(1, 6)), parse_timeframe("1m")
    )
    candles = Candles("BTCUSDT", parse_timeframe("1m"), records, first=2, source="SYNTHETIC seed 7")
    fill = {"time_ms": 4 * MINUTE_MS, "side": "BUY", "price": 4.5, "quantity": 1.0}
    chart = CandleChart.from_candles(
        candles, fills=[fill], lines={"mean": np.array([np.nan, 4, 5])}
    )
    assert np.frombuffer(chart.history).reshape(-1, 6).tolist() == rows[2:].tolist()
    assert chart.title == "BTCUSDT 1m"
    assert chart.synthetic == "SYNTHETIC"
    assert chart.fills == [{"time_ms": 4 * MINUTE_MS, "side": "BUY", "price": 4.5}]
    assert [one["name"] for one in chart.lines] == ["mean"]
    assert np.frombuffer(chart.line_values)[1:].tolist() == [4.0, 5.0]


def test_recorded_candles_carry_no_synthetic_label() -> None:
    rows = candle_rows(1, 2)
    records = records_from_columns(
        rows[:, 0].astype(np.int64), *(rows[:, i] for i in range(1, 6)), parse_timeframe("1m")
    )
    assert CandleChart.from_candles(Candles("X", parse_timeframe("1m"), records)).synthetic == ""


def test_prices_are_shown_with_the_decimals_they_have() -> None:
    chart = CandleChart()
    rows = candle_rows(1, 2)
    rows[:, 1:5] = [[0.5123, 0.5125, 0.5119, 0.512]] * 2
    chart.set_candles(rows)
    assert chart.decimals == 4


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((2, 5)), "not (n, 6)"),
        (candle_rows(1, 2)[::-1], "must rise"),
    ],
)
def test_rows_that_are_no_candles_are_refused(rows: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        CandleChart().set_candles(rows)


def test_a_line_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="line 'a' has 2 values for 3 candles"):
        CandleChart().set_candles(candle_rows(1, 3), lines={"a": np.array([1.0, 2.0])})


def test_rows_of_no_candles_are_an_empty_table() -> None:
    assert rows_of([]).shape == (0, 6)


def test_the_library_comes_from_the_installed_package_and_leaves_window_as_it_was() -> None:
    module = CandleChart._esm
    assert "TradingView Lightweight Charts" in module
    assert "window.LightweightCharts = before;" in module
    assert module.rstrip().endswith("export default { render };")
