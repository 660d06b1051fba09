"""A rule of the engines, and the names of the tests that many of them share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule; tests are named `file::test` below the folder of the tests."""

    says: str
    by_hand: tuple[str, ...]
    on_any_market: tuple[str, ...]
    live: tuple[str, ...] = ()
    because: str = ""


def rule(
    says: str, hand: str = "", any_market: str = "", *, live: str = "", because: str = ""
) -> Rule:
    """Return a rule from the names of its tests, several of them parted by spaces."""
    return Rule(says, *(tuple(names.split()) for names in (hand, any_market, live)), because)


TARGETS = "backtest/test_engine_semantics.py::"
ANY_TARGETS = TARGETS + "test_any_targets_trade_as_the_naive_account_does"
EVENT_TARGETS = TARGETS + "test_kernel_and_event_engine_agree_on_any_targets_to_the_lot"
EXITS = "backtest/test_exits.py::"
ANY_EXITS = "backtest/test_exits_against_oracle.py::test_exits_equal_the_naive_oracle"
EVENT_EXITS = "backtest/test_exits_event_driven.py::test_orders_on_the_engine_equal_the_kernel"
LADDERS = "backtest/test_ladders.py::"
ANY_LADDER = (
    "backtest/test_ladder_properties.py::"
    "test_the_kernel_is_the_oracle_fill_for_fill_with_exits_and_without"
)
EVENT_LADDER = (
    "backtest/test_ladder_properties.py::"
    "test_the_matching_engine_is_the_kernel_fill_for_fill_with_exits_and_without"
)
FINER_LADDER = (
    "backtest/test_ladder_properties.py::"
    "test_finer_candles_are_followed_by_kernel_oracle_and_matching_engine_alike"
)
LOTS = "backtest/test_prices_and_lots.py::"
GUARDS = "backtest/test_guards.py::"
ANY_GUARDS = "backtest/test_exits_against_oracle.py::test_guards_equal_the_naive_oracle"
LIVE_GUARDS = (
    "bridge/test_guards.py::test_what_guards_hold_back_is_the_same_in_kernel_event_engine_and_live"
)
LADDER_GUARDS = (
    "backtest/test_ladder_properties.py::"
    "test_guards_hold_a_ladders_buys_back_alike_in_kernel_oracle_and_matching_engine"
)
AHEAD = "backtest/test_no_look_ahead.py::"
CORE = "bridge/test_core.py::"
PARITY = "parity/test_parity.py::"
DECISIONS = "strategies/test_decisions.py::"
METRICS = "analysis/test_metrics.py::"
SWEEPS = "backtest/test_sweep_against_oracle.py::"
BAD = "backtest/test_bad_input.py::"
