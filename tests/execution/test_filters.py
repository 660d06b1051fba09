"""Amounts as text: exact, or refused with Binance's code."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.execution.filters import parse_amount
from workbench.execution.orders import Rejected


@given(st.decimals(min_value=0, max_value=10**10, places=8, allow_nan=False))
def test_eight_decimals_are_read_exactly(amount: Decimal) -> None:
    assert parse_amount("price", f"{amount:f}") == int(amount * 10**8)


@pytest.mark.parametrize("text", ["1.123456789", "0.000000001", "1.000000000"])
def test_more_than_eight_decimals_are_too_precise(text: str) -> None:
    with pytest.raises(Rejected, match="-1111: Parameter 'quantity' has too much precision"):
        parse_amount("quantity", text)


@pytest.mark.parametrize("text", ["-1", "1e3", "", "nan", "1,5", " 1", "٣", ".5", "1.", "0x10"])
def test_what_is_no_plain_decimal_is_illegal(text: str) -> None:
    with pytest.raises(Rejected, match="-1100: Illegal characters found in parameter 'price'"):
        parse_amount("price", text)
