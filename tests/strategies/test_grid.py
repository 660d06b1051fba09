"""The grid's ladder: which rungs it wants, when it changes its mind, and when it ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies.deciding import cents, flat, intents
from workbench import strategies
from workbench.errors import UsageError

IN_QUOTE = {"spacing": 0, "unit": 0, "low": 80.0, "high": 120.0, "lines": 5, "quote": 100.0}
# lines 80 90 100 110 120; rungs 80-90, 90-100, 100-110, 110-120


def rungs(intent: np.ndarray) -> list[tuple[int, int, float, float, float]]:
    """Return (id, side, price, quote, pair price) of each rung."""
    return [tuple(one.item()) for one in intent["ladder"][: intent["n_ladder"]]]


def test_from_cash_a_rung_is_laid_once_a_close_was_above_it() -> None:
    written = intents("grid", cents([9500, 9400, 10_500, 8500, 13_000]), **IN_QUOTE)
    assert written["revision"].tolist() == [1, 1, 2, 2, 3]
    assert written["n_ladder"].tolist() == [2, 0, 3, 0, 4]  # written with a new revision alone
    assert rungs(written[0]) == [(1, 1, 80.0, 100.0, 90.0), (2, 1, 90.0, 100.0, 100.0)]
    assert rungs(written[2]) == [*rungs(written[0]), (3, 1, 100.0, 100.0, 110.0)]
    assert rungs(written[4]) == [*rungs(written[2]), (4, 1, 110.0, 100.0, 120.0)]
    assert np.isnan(written["target"]).all()


def test_a_close_on_a_line_is_not_above_it() -> None:
    assert intents("grid", cents([9000]), **IN_QUOTE)["n_ladder"].tolist() == [1]


def test_split_inventory_is_bought_first_and_the_ladder_laid_when_it_has_come() -> None:
    params = {**IN_QUOTE, "inventory": 1}
    arrived = flat(9_700.0, quantity=2.7, equity=10_000.0)
    positions = [flat(), flat(), arrived, arrived]
    written = intents("grid", cents([10_500] * 4), positions, **params)
    # Sells rest at 110 and 120: 100/110 + 100/120 of base at 105, and 0.5 % more for the fee.
    base = 100 / 110 + 100 / 120
    assert written["target"][0] == pytest.approx(base * 105 / 0.995 / 10_000)
    assert np.isnan(written["target"][1:]).all()
    assert written["revision"].tolist() == [0, 0, 1, 1]
    assert rungs(written[2]) == [
        (1, 1, 80.0, 100.0, 90.0), (2, 1, 90.0, 100.0, 100.0),
        (3, -1, 110.0, 100.0, 100.0), (4, -1, 120.0, 100.0, 110.0),
    ]  # fmt: skip


def test_split_inventory_above_the_range_needs_no_base() -> None:
    written = intents("grid", cents([12_500]), **IN_QUOTE, inventory=1)
    assert [side for _, side, *_ in rungs(written[0])] == [1, 1, 1, 1]
    assert np.isnan(written["target"][0])


def test_geometric_lines_rise_by_the_same_factor_and_follow_the_first_close() -> None:
    params = {"spacing": 1, "unit": 1, "low": 0.5, "high": 2.0, "lines": 5}
    written = intents("grid", cents([20_000, 30_000]), **params)
    prices = [price for _, _, price, *_ in rungs(written[1])]
    assert prices[:4] == pytest.approx([100.0, 100 * 2**0.5, 200.0, 200 * 2**0.5])
    assert {quote for *_, quote, _ in rungs(written[0])} == {10_000 * 0.995 / 4}


@pytest.mark.parametrize(("low", "high"), [(7_000, 9_500), (9_400, 14_000)])
def test_stop_and_take_profit_end_the_grid_for_good(low: int, high: int) -> None:
    closes = [9_500] * 4
    records = cents(closes, [9_500, high, 9_500, 9_500], [9_500, low, 9_500, 9_500])
    written = intents("grid", records, **IN_QUOTE, stop=70.0, take_profit=140.0)
    assert written["revision"].tolist() == [1, 2, 2, 2]
    assert written["n_ladder"].tolist() == [2, 0, 0, 0]
    assert str(written["target"].tolist()) == "[nan, 0.0, nan, nan]"
    assert written["stop"].tolist() == [70.0, 0.0, 0.0, 0.0]
    assert written["take_profit"].tolist() == [140.0, 0.0, 0.0, 0.0]


def test_an_exit_of_the_position_ends_it_too() -> None:
    positions = [flat(), flat(exit_reason=1), flat()]
    written = intents("grid", cents([9_500] * 3), positions, **IN_QUOTE)
    assert written["revision"].tolist() == [1, 2, 2]
    assert written["n_ladder"].tolist() == [2, 0, 0]


@pytest.mark.parametrize(
    "params",
    [{"low": 2.0}, {"stop": 0.9}, {"take_profit": 1.2}, {"lines": 66}, {"lines": 1}],
)
def test_a_grid_that_contradicts_itself_is_refused(params: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"not a valid parameter set|out of range"):
        strategies.load("grid").params(**params)


@settings(max_examples=40, deadline=None)
@given(
    closes=st.lists(st.integers(5_000, 15_000), min_size=1, max_size=12),
    lines=st.integers(2, 65),
    spacing=st.integers(0, 1),
    inventory=st.integers(0, 1),
)
def test_every_ladder_is_ordered_paired_with_its_neighbour_and_within_the_cash(
    closes: list[int], lines: int, spacing: int, inventory: int
) -> None:
    params = {"unit": 0, "low": 60.0, "high": 140.0, "lines": lines, "spacing": spacing}
    arrived = flat(5_000.0, quantity=1.0)
    positions = [flat(), *[arrived] * (len(closes) - 1)]
    written = intents("grid", cents(closes), positions, **params, inventory=inventory)
    assert (np.diff(written["revision"]) >= 0).all()
    for before, now in zip([None, *written], written, strict=False):
        changed = now["revision"] != (0 if before is None else before["revision"])
        assert (now["n_ladder"] > 0) == changed
        ladder = rungs(now)
        assert [one[0] for one in ladder] == list(range(1, len(ladder) + 1))
        for _, side, price, quote, pair in ladder:
            assert (pair - price) * side > 0
            assert quote == pytest.approx(10_000 * 0.995 / (lines - 1))
        lower = [min(price, pair) for _, _, price, _, pair in ladder]
        assert lower == sorted(lower)
        assert sum(one[3] for one in ladder) <= 10_000
