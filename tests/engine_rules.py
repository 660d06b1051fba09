"""What the engines do, rule by rule, and the tests that show it: the source of docs/engine-rules.md.

Each rule names a test in which it is worked by hand, a few candles long, and one in which it is held on
any market; where one of them is missing, `because` says why. `python -m tests.engine_rules` writes the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "engine-rules.md"


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

GROUPS: dict[str, tuple[Rule, ...]] = {
    "Targets": (
        rule(
            "A target is carried out once, at the close at which it first differs from the one before.",
            TARGETS + "test_a_target_is_acted_on_once_and_no_opinion_changes_nothing",
            f"{ANY_TARGETS} {EVENT_TARGETS}",
            live=CORE + "test_a_target_is_acted_on_once",
        ),
        rule(
            "NaN says nothing: no order, and an order that waits goes on waiting.",
            f"{TARGETS}test_a_target_is_acted_on_once_and_no_opinion_changes_nothing "
            f"{TARGETS}test_an_order_that_waits_dies_when_the_target_changes",
            ANY_TARGETS,
            live=CORE + "test_a_target_is_acted_on_once",
        ),
        rule(
            "A position may drift away from its target; nothing is bought or sold for that. There is no "
            "rebalancing band.",
            TARGETS + "test_drift_never_trades",
            ANY_TARGETS,
            live=CORE + "test_a_target_is_acted_on_once",
        ),
        rule(
            "Before anything was written every target is another one: a first 0 sells what a ladder bought.",
            LADDERS + "test_a_first_target_of_0_sells_what_a_rung_has_bought",
            ANY_LADDER,
        ),
        rule(
            "An exit uses the target up; the position comes back for a different one only.",
            EXITS + "test_the_target_is_spent_after_an_exit_until_a_different_one_is_written",
            f"{ANY_EXITS} {EVENT_EXITS}",
            live=PARITY + "test_exits_of_every_kind_sell_the_same_on_the_live_path",
        ),
        rule(
            "So does an order that is refused, for its size or by a guard, though it could trade later.",
            f"{TARGETS}test_after_a_refusal_the_same_target_is_dead_even_when_it_could_trade_later "
            f"{TARGETS}test_what_costs_too_little_is_refused_and_its_target_spent "
            "backtest/test_large_amounts.py::"
            "test_an_order_above_the_exchanges_largest_is_refused_and_its_target_spent "
            f"{GUARDS}test_a_refused_buy_spends_its_target",
            f"{ANY_LADDER} {ANY_GUARDS}",
            live=CORE + "test_an_order_below_the_minimum_is_refused_with_the_arithmetic_and_spent",
        ),
        rule(
            "So does a live order that expires without a fill. One that provably never reached the "
            "exchange gives its target back.",
            live="bridge/test_desk.py::test_an_entry_that_expires_without_a_fill_leaves_its_target_spent "
            f"{CORE}test_a_voided_entry_gives_its_target_back",
            because="a backtest's orders neither expire nor get lost: they wait",
        ),
        rule(
            "A target outside 0 to 1, or a level that is negative, infinite or NaN, is a fault: an error "
            "of a backtest, an error row of a sweep, the end of a live instance's decisions.",
            f"{BAD}test_a_target_that_is_impossible_is_an_error_row_and_never_a_number "
            f"{BAD}test_one_backtest_with_an_impossible_target_is_an_error_in_every_engine "
            f"{EXITS}test_a_level_that_is_no_number_is_an_error_row",
            live=f"{CORE}test_an_intent_that_cannot_be_carried_out_is_an_error "
            "bridge/test_driver.py::test_a_strategy_that_fails_faults_its_instance_and_can_still_be_sold",
            because="the examples try every kind of value that cannot be",
        ),
    ),
    "Size": (
        rule(
            "Equity is marked at the close of the signal, and the target is a share of that.",
            TARGETS + "test_a_target_is_a_share_of_the_equity_at_the_signals_close",
            f"{ANY_TARGETS} {EVENT_TARGETS}",
        ),
        rule(
            "It is the equity of this instance alone, and what it earned is part of it.",
            f"{LOTS}test_equity_compounds_and_the_same_share_buys_with_what_was_earned "
            "backtest/test_portfolio.py::"
            "test_without_caps_parts_of_different_symbols_do_not_know_of_each_other",
            f"{ANY_TARGETS} backtest/test_portfolio.py::"
            "test_the_account_is_the_sum_of_its_fills_and_its_caps_hold_at_every_entry",
        ),
        rule(
            "A buy spends what is missing from the target, and never more than the cash.",
            f"{TARGETS}test_a_buy_never_spends_more_than_the_cash "
            f"{TARGETS}test_a_target_is_a_share_of_the_equity_at_the_signals_close",
            f"{ANY_TARGETS} {ANY_LADDER}",
            live=CORE + "test_a_buy_spends_the_whole_cash_and_is_journaled_with_state_and_decision",
        ),
        rule(
            "A sale sells what is above the target, in whole lots rounded down; 0 sells every whole lot.",
            LOTS + "test_a_part_is_sold_in_whole_lots_rounded_down_and_all_of_it_to_the_last_lot",
            f"{EVENT_TARGETS} {ANY_LADDER}",
            live=CORE + "test_target_0_sells_all_lots",
        ),
        rule(
            "What is less than a lot is dust: no position, no open trade, worth its price in the equity, "
            "and at its cost no loss of the round trip that left it.",
            f"{TARGETS}test_dust_is_no_position_and_is_worth_what_it_is_worth "
            "backtest/test_round_trips.py::"
            "test_a_trip_ends_when_less_than_a_lot_is_left_and_its_crumbs_open_none",
            "backtest/test_round_trips.py::test_trips_are_those_of_a_fold_by_hand",
        ),
        rule(
            "What resting rungs have reserved, a target neither spends nor sells.",
            LADDERS + "test_a_target_spends_and_sells_only_what_no_rung_has_reserved",
            ANY_LADDER,
        ),
    ),
    "Exits": (
        rule(
            "A level is an offset in quote, a percentage or a number of average true ranges, each swept "
            "like a parameter.",
            f"{EXITS}test_a_stop_is_reached_at_a_touch_and_a_take_profit_is_not "
            f"{EXITS}test_a_take_profit_pays_no_slippage "
            f"{EXITS}test_the_average_true_range_is_wilders_at_the_signal_and_frozen_at_entry "
            "backtest/test_exits_swept.py::test_levels_are_read_as_they_are_written",
            f"{ANY_EXITS} backtest/test_event_form_exits.py::"
            "test_exits_in_the_event_form_equal_the_plain_kernel",
        ),
        rule(
            "A level that the strategy writes wins, for as long as it writes it at every close.",
            EXITS + "test_a_level_in_the_intent_wins_for_as_long_as_it_is_written",
            f"{ANY_EXITS} {EVENT_EXITS}",
            live="bridge/test_exits.py::test_levels_that_the_strategy_writes_win_over_the_overlay",
        ),
        rule(
            "Levels hang on the price that was really paid, slippage included; on the average of several buys.",
            f"{EXITS}test_a_stop_fills_at_its_level_less_slippage_and_its_fee_is_a_takers "
            f"{EXITS}test_a_second_buy_hangs_the_levels_on_the_average_price",
            f"{ANY_EXITS} {EVENT_EXITS}",
            live="bridge/test_exits.py::test_a_second_buy_renews_the_pair_for_the_average_price",
        ),
        rule(
            "The average true range is Wilder's at the signal's candle, and stays what it was at entry; a "
            "buy before it has a value is an error.",
            f"{EXITS}test_the_average_true_range_is_wilders_at_the_signal_and_frozen_at_entry "
            f"{EXITS}test_the_average_true_range_is_fed_from_before_the_window "
            f"{EXITS}test_an_entry_before_the_average_true_range_has_a_value_is_an_error",
            f"{ANY_EXITS} {EVENT_EXITS}",
        ),
        rule(
            "Exits act inside the candle in which the entry filled.",
            EXITS + "test_exits_are_active_inside_the_entry_candle",
            f"{ANY_EXITS} {EVENT_EXITS}",
        ),
        rule(
            "A stop acts at a touch and pays as a taker: its level, or the open that gapped through it, "
            "less slippage.",
            f"{EXITS}test_a_stop_is_reached_at_a_touch_and_a_take_profit_is_not "
            f"{EXITS}test_a_gap_through_the_stop_fills_at_the_open_and_one_over_the_target_at_the_target "
            f"{EXITS}test_a_stop_fills_at_its_level_less_slippage_and_its_fee_is_a_takers",
            f"{ANY_EXITS} {EVENT_EXITS}",
            live="bridge/test_exits.py::test_a_stop_sells_ends_its_partner_and_tells_its_reason",
        ),
        rule(
            "A take-profit is a limit order: passed, not touched, and filled at its own price without "
            "slippage, over a gap too.",
            f"{EXITS}test_a_stop_is_reached_at_a_touch_and_a_take_profit_is_not "
            f"{EXITS}test_a_take_profit_pays_no_slippage "
            f"{EXITS}test_a_gap_through_the_stop_fills_at_the_open_and_one_over_the_target_at_the_target",
            f"{ANY_EXITS} {EVENT_EXITS}",
        ),
        rule(
            "A trailing stop follows the highest high since entry, moves when a candle closes, and never down.",
            f"{EXITS}test_a_trailing_stop_ratchets_on_closed_candles_only "
            f"{EXITS}test_the_higher_of_stop_and_trail_acts_and_gives_its_name "
            "backtest/test_exits_event_driven.py::"
            "test_a_trail_that_is_first_written_late_hangs_on_the_highest_high_since_entry",
            f"{ANY_EXITS} {EVENT_EXITS}",
            live="bridge/test_exits.py::"
            "test_a_trailing_stop_moves_when_a_candle_closes_and_gives_its_name",
        ),
        rule(
            "A time stop sells at the open after so many closed candles, counted from the first buy.",
            f"{EXITS}test_a_time_stop_sells_at_the_open_after_so_many_closed_candles "
            f"{EXITS}test_a_second_buy_leaves_the_time_stop_of_the_first",
            f"{ANY_EXITS} {EVENT_EXITS}",
            live="bridge/test_exits.py::test_a_position_that_was_held_long_enough_is_sold_at_market",
        ),
        rule(
            "Stop and take-profit in one candle: finer candles tell which came first; without them, or "
            "where one of those holds both, it is the stop, and the candle is counted as ambiguous.",
            f"{EXITS}test_stop_and_target_in_one_candle_without_finer_candles_is_the_worse_and_is_counted "
            f"{EXITS}test_finer_candles_say_which_came_first "
            f"{EXITS}test_a_finer_candle_that_holds_both_is_ambiguous_still",
            f"{ANY_EXITS} {EVENT_EXITS}",
        ),
        rule(
            "At one open the signal's order goes first, and an exit sells what it leaves.",
            EXITS + "test_a_signal_at_the_same_open_goes_first_and_an_exit_takes_what_is_left",
            f"{ANY_EXITS} {EVENT_EXITS}",
            live="bridge/test_exits.py::"
            "test_a_signals_sale_takes_the_exits_back_and_sells_what_they_left",
        ),
        rule(
            "An exit that the exchange refuses, as too small or too large, is not tried again, though the "
            "price comes back.",
            f"{EXITS}test_an_exit_that_is_refused_is_not_tried_again_though_the_price_comes_back "
            f"{EXITS}test_with_exchange_filters_levels_lie_on_ticks_and_a_sale_below_the_minimum_is_refused "
            "backtest/test_large_amounts.py::"
            "test_a_stop_above_the_exchanges_largest_order_is_refused_and_not_sold",
            EVENT_EXITS,
            live="bridge/test_exits.py::test_a_position_below_the_minimum_is_given_up_aloud",
        ),
        rule(
            "A buy after a refused exit begins anew for all that is held: levels on its own price, highs "
            "and time from there. On the average they would mostly sell at once what was just bought.",
            f"{EXITS}test_a_buy_after_a_refused_exit_hangs_new_levels_on_its_own_price_for_all_that_is_held "
            f"{EXITS}test_a_buy_after_a_refused_exit_begins_the_time_stop_anew",
            EVENT_EXITS,
            live="execution/test_protection.py::"
            "test_a_buy_after_a_refused_exit_begins_levels_and_time_anew",
        ),
    ),
    "Ladders": (
        rule(
            "A ladder is what is wanted. Rungs are compared by their id: the same stay as they are, others "
            "are taken back at the close, new ones are placed at the next tradable open.",
            f"{LADDERS}test_a_new_revision_keeps_what_is_unchanged_moves_what_differs_and_drops_what_is_gone "
            f"{LADDERS}test_a_revision_takes_back_at_once_and_places_at_the_next_open",
            f"{ANY_LADDER} {EVENT_LADDER}",
            live="bridge/test_ladder.py::test_a_new_revision_takes_back_only_what_has_changed",
        ),
        rule(
            "It is read when its revision changes, and not before.",
            LADDERS + "test_rungs_that_are_written_under_the_same_revision_are_not_read",
            because="no generator writes rungs without a new revision; the example does, in every engine",
        ),
        rule(
            "Cash and base are reserved when an order is placed; what cannot be paid or is too small is off "
            "until another revision.",
            f"{LADDERS}test_what_cannot_be_paid_is_refused_until_the_ladder_changes "
            f"{LADDERS}test_a_sale_first_needs_the_base_and_buys_it_back_at_its_pair "
            f"{LADDERS}test_an_order_below_the_least_notional_is_refused",
            f"{ANY_LADDER} {EVENT_LADDER}",
            live="bridge/test_ladder.py::"
            "test_what_cannot_be_paid_and_what_the_exchange_refuses_is_off_with_an_alarm",
        ),
        rule(
            "A fill rests the opposite order at the pair's price at once, and that one's fill the first "
            "again; without a pair a rung fills once.",
            f"{LADDERS}test_a_rung_and_its_pair_fill_in_one_candle "
            f"{LADDERS}test_the_path_goes_low_then_high_then_close_and_the_rung_is_armed_again "
            f"{LADDERS}test_a_rung_without_a_pair_fills_once",
            f"{ANY_LADDER} {EVENT_LADDER}",
            live="bridge/test_ladder.py::"
            "test_a_fill_is_answered_with_the_opposite_order_and_that_one_with_the_first_again",
        ),
        rule(
            "Of several rungs the nearest fills first, each at its own price, over a gap too; one that is "
            "placed beyond its price takes what stands there.",
            f"{LADDERS}test_a_gap_over_several_rungs_fills_each_at_its_own_price_the_nearest_first "
            f"{LADDERS}test_a_rung_that_is_placed_beyond_its_price_takes_what_stands_there",
            f"{ANY_LADDER} {EVENT_LADDER}",
        ),
        rule(
            "Lots that a sale leaves over wait for the next one; buys rest at the tick below, sales above.",
            f"{LADDERS}test_what_lots_leave_over_is_sold_when_it_has_become_a_lot "
            f"{LADDERS}test_with_filters_prices_keep_to_ticks_and_quantities_to_lots",
            f"{ANY_LADDER} {EVENT_LADDER}",
        ),
        rule(
            "Exits share the path with the rungs and sell what is held when they are reached, no more and "
            "no less; they take the ladder back, and what was bought below a stop leaves where it was bought.",
            f"{LADDERS}test_a_stop_takes_the_ladder_back_and_sells_what_the_rungs_above_it_bought "
            f"{LADDERS}test_a_take_profit_sells_what_is_left_above_the_last_rung "
            f"{LADDERS}test_what_is_bought_below_the_stop_is_sold_where_it_was_bought",
            f"{ANY_LADDER} {EVENT_LADDER}",
            live="bridge/test_ladder_exits.py::"
            "test_a_stop_that_trades_ends_the_ladder_and_another_begins_with_nothing",
        ),
        rule(
            "The strategy sees which rungs have filled.",
            LADDERS + "test_a_decision_sees_which_rungs_have_filled",
            "backtest/test_ladder_properties.py::"
            "test_a_decision_sees_the_rungs_that_have_filled_as_the_oracle_does",
            live="execution/test_resting_ladder.py::test_parts_and_restarts_change_nothing",
        ),
        rule(
            "A ladder that contradicts itself is one clear error.",
            LADDERS + "test_a_ladder_that_contradicts_itself_is_one_clear_error",
            because="the example tries every kind of contradiction",
        ),
    ),
    "Late and missing candles": (
        rule(
            "A gap is told by the candle after it; no candle is ever invented.",
            "market/test_market.py::test_gaps_are_counted_and_nothing_is_filled",
            "data/test_data_live.py::"
            "test_whatever_is_lost_doubled_or_reordered_every_candle_comes_once_and_in_order",
            live="bridge/test_feed.py::test_a_candle_that_nobody_has_is_counted_and_not_invented",
        ),
        rule(
            "In a candle without volume, and in the first after a gap, nothing fills: orders wait for the "
            "next tradable open, in the size of their signal.",
            f"{TARGETS}test_an_order_waits_for_a_tradable_open "
            f"{LADDERS}test_nothing_fills_in_a_candle_without_trade_or_after_a_gap",
            f"{ANY_TARGETS} {EVENT_TARGETS} {ANY_LADDER}",
        ),
        rule(
            "An order that waits dies when the target changes.",
            TARGETS + "test_an_order_that_waits_dies_when_the_target_changes",
            f"{ANY_TARGETS} {EVENT_TARGETS}",
        ),
        rule(
            "Exits wait likewise, and are off when the price has come back by then.",
            f"{EXITS}test_exits_wait_for_a_tradable_candle "
            f"{EXITS}test_an_exit_that_waited_is_off_when_the_price_has_come_back",
            f"{ANY_EXITS} {EVENT_EXITS}",
        ),
        rule(
            "Live, a candle that comes later than 5 % of its interval, at most a minute, moves the state and "
            "lets exits act; an entry is skipped and spent, unless late entries are taken. The decision says so.",
            live="bridge/test_feed.py::test_limits_of_patience "
            f"{CORE}test_a_late_or_doubtful_entry_is_skipped_and_spent_but_an_exit_acts",
            because="a backtest's candles are never late",
        ),
    ),
    "Fills and costs": (
        rule(
            "What is decided at a close fills at the next open, worsened by slippage. Nothing later is known.",
            TARGETS + "test_a_signal_at_a_close_fills_at_the_next_open_and_pays_slippage_and_fee",
            f"{ANY_TARGETS} {SWEEPS}test_what_comes_later_changes_nothing_before "
            f"{AHEAD}test_exits_and_guards_know_nothing_of_what_comes_later "
            f"{AHEAD}test_a_ladder_knows_nothing_of_what_comes_later",
        ),
        rule(
            "The fee is a share of the asset received: base of a buy, quote of a sale; maker and taker pay "
            "the same.",
            f"{TARGETS}test_a_signal_at_a_close_fills_at_the_next_open_and_pays_slippage_and_fee "
            f"{LADDERS}test_a_rung_and_its_pair_fill_in_one_candle",
            f"{ANY_TARGETS} {ANY_LADDER} execution/test_kernel_parity.py::"
            "test_a_buy_and_a_sale_leave_both_with_the_same_digits",
        ),
        rule(
            "Unless told otherwise a side costs 10 bps and 1 bp of slippage, and 10,000 is there to begin with.",
            LOTS
            + "test_a_sweep_rounds_nothing_and_a_backtest_keeps_the_filters_unless_told_otherwise",
            because="defaults are what they are",
        ),
        rule(
            "A candle is walked open, low, high, close, by every engine and by the local exchange.",
            f"{LADDERS}test_the_path_goes_low_then_high_then_close_and_the_rung_is_armed_again "
            "execution/test_tape.py::test_a_candle_prints_open_low_high_close_and_its_volume_exactly",
            f"{ANY_LADDER} {EVENT_LADDER} {ANY_EXITS}",
            live=PARITY + "test_a_grid_fills_the_same_rungs_on_the_live_path",
        ),
        rule(
            "Finer candles are read where a candle leaves the order of its fills open, and where a ladder "
            "lies on its way; they must be of the same trades.",
            f"{EXITS}test_finer_candles_are_read_for_unclear_candles_only_and_must_be_of_the_same_trades "
            f"{EXITS}test_finer_candles_say_which_came_first",
            f"{ANY_EXITS} {FINER_LADDER}",
        ),
        rule(
            "A limit order fills when it is traded through, at its own price; at a touch only where that is "
            "asked for.",
            f"{LADDERS}test_a_touch_fills_nothing_unless_it_is_asked_for "
            "execution/test_engine_fills.py::"
            "test_resting_limit_fills_only_when_traded_through_and_at_its_own_price",
            f"{ANY_LADDER} {EVENT_LADDER}",
        ),
        rule(
            "Latency, a share of the candle's volume and limit orders at the close are for the event engine to "
            "try: being later never helps, and no candle gives more than its share.",
            "backtest/test_market_model.py::test_a_late_order_meets_the_worst_price_until_it_arrives "
            "backtest/test_market_model.py::test_a_share_of_the_volume_fills_an_order_over_several_candles "
            "backtest/test_market_model.py::"
            "test_a_limit_order_rests_until_it_is_traded_through_and_pays_the_makers_fee",
            "backtest/test_market_model.py::test_within_a_candle_being_later_never_helps "
            "backtest/test_market_model.py::"
            "test_nothing_is_made_or_lost_and_no_candle_gives_more_than_its_share",
        ),
        rule(
            "Higher fees never help.",
            any_market=f"{TARGETS}test_higher_fees_never_help_whatever_the_targets "
            f"{TARGETS}test_higher_fees_never_help_a_shipped_strategy",
            because="it is a statement about all runs; it holds without filters, as lots may round either way",
        ),
        rule(
            "Where prices are a fair game a strategy earns minus its costs, within four standard errors; a "
            "grid does where finer candles tell the order inside an hour.",
            any_market=f"{TARGETS}test_on_martingales_a_strategy_earns_minus_its_costs "
            f"{TARGETS}"
            "test_on_martingales_a_grid_earns_nothing_where_minutes_tell_the_order_inside_an_hour",
            because="a mean has no example of a few candles",
        ),
    ),
    "Exchange filters": (
        rule(
            "A sweep rounds nothing; a backtest keeps the exchange's filters, as live does.",
            LOTS
            + "test_a_sweep_rounds_nothing_and_a_backtest_keeps_the_filters_unless_told_otherwise",
            f"{ANY_LADDER} {EVENT_TARGETS}",
            live=PARITY + "test_a_month_of_recorded_candles_is_equal_in_all_engines",
        ),
        rule(
            "Quantities are whole lots, rounded down.",
            f"{LOTS}test_a_part_is_sold_in_whole_lots_rounded_down_and_all_of_it_to_the_last_lot "
            f"{TARGETS}test_a_signal_at_a_close_fills_at_the_next_open_and_pays_slippage_and_fee",
            f"{ANY_LADDER} {EVENT_TARGETS} {SWEEPS}"
            "test_exchange_filters_equal_decimal_arithmetic_to_the_last_digit",
        ),
        rule(
            "A market buy pays the tick above the worsened open, a sale gets the one below.",
            LOTS
            + "test_a_market_buy_pays_the_tick_above_the_worsened_open_and_a_sale_gets_the_one_below",
            f"{ANY_LADDER} execution/test_kernel_parity.py::"
            "test_a_buy_and_a_sale_leave_both_with_the_same_digits",
        ),
        rule(
            "Limit buys and stops lie on the tick below what was asked, limit sales and take-profits above.",
            f"{LADDERS}test_with_filters_prices_keep_to_ticks_and_quantities_to_lots "
            f"{LOTS}test_levels_keep_to_ticks_the_stop_below_and_the_take_profit_above",
            f"{ANY_LADDER} {EVENT_EXITS}",
        ),
        rule(
            "The commission is cut off at eight decimals, by one function for all.",
            f"{TARGETS}test_a_signal_at_a_close_fills_at_the_next_open_and_pays_slippage_and_fee "
            "execution/test_kernel_parity.py::test_the_commission_is_cut_off_in_the_received_asset",
            "execution/test_kernel_parity.py::test_a_buy_and_a_sale_leave_both_with_the_same_digits",
        ),
        rule(
            "An order below the minimum notional is refused: when it is sized, by the close; when a sale "
            "fills, by what it gets, slippage included.",
            f"{LOTS}test_the_minimum_notional_itself_passes_and_a_cent_less_does_not "
            f"{LOTS}test_a_sale_is_judged_at_the_open_by_what_it_gets_and_its_target_is_spent",
            f"{ANY_LADDER} {EVENT_EXITS}",
            live=CORE + "test_an_order_below_the_minimum_is_refused_with_the_arithmetic_and_spent",
        ),
        rule(
            "More than whole numbers at 1e-8 can count is an error, never a number.",
            "backtest/test_large_amounts.py::"
            "test_more_than_an_account_can_count_is_an_error_and_never_a_number",
            because="it takes 9e10 of an asset; the example stands on both sides of that",
        ),
    ),
    "Indicators and warm-up": (
        rule(
            "An exponential average begins with the plain average of its first values; MACD's signal line too.",
            f"{DECISIONS}test_two_exponential_averages_cross_by_hand "
            f"{SWEEPS}test_a_hand_worked_round_trip_of_two_fills",
            f"{DECISIONS}test_a_decision_on_closes_equals_the_exact_oracle_ties_included "
            "backtest/test_event_form.py::test_macd_equals_the_naive_oracle_in_every_column",
        ),
        rule(
            "MACD buys when line less signal turns from 0 or below to above, and sells the other way, "
            "between two candles that both have a value.",
            DECISIONS + "test_macd_turns_only_between_two_candles_that_both_have_a_value",
            "backtest/test_event_form.py::test_macd_equals_the_naive_oracle_in_every_column",
        ),
        rule(
            "A strategy says from which candle on it has a value, and after how many its beginning weighs "
            "less than a millionth.",
            f"{DECISIONS}test_each_strategy_says_how_many_candles_it_needs strategies/test_spec.py::"
            "test_an_average_is_stable_after_the_published_number_of_candles",
            "strategies/test_every_strategy.py::test_a_window_forgets_all_that_lies_before_it",
        ),
        rule(
            "Candles before the window warm it up, as many as make it stable where they exist, and are "
            "never traded; where there are fewer the result says what the beginning still weighs.",
            f"{SWEEPS}test_warm_up_candles_are_fed_but_never_traded "
            "backtest/test_warm_up_notes.py::test_the_weight_that_the_seed_still_has_is_told "
            "data/test_data_catalogue.py::test_what_lies_before_the_start_is_warm_up",
            "backtest/test_event_form.py::test_macd_equals_the_naive_oracle_in_every_column",
            live="bridge/test_driver.py::test_history_warms_a_strategy_up_and_is_never_traded",
        ),
    ),
    "The end of the data": (
        rule(
            "A signal at the last close is pending, and so is an order that still waits.",
            TARGETS + "test_a_signal_on_the_last_candle_is_pending",
            f"{EVENT_TARGETS} {EVENT_EXITS}",
        ),
        rule(
            "An open position is marked at the last close, without a fee, and reported as an open trade.",
            f"{TARGETS}test_an_open_position_is_marked_at_the_last_close_without_a_fee "
            f"{EXITS}test_an_open_position_at_the_end_is_marked_and_reported_as_open",
            f"{ANY_TARGETS} {EVENT_EXITS}",
        ),
    ),
    "Results": (
        rule(
            "There is an equity at every close, and fills and fees alone give it again to 1e-9.",
            f"{TARGETS}test_drift_never_trades "
            f"{TARGETS}test_a_target_is_a_share_of_the_equity_at_the_signals_close",
            f"{TARGETS}"
            "test_cash_and_base_rebuilt_from_fills_and_fees_are_the_equity_at_every_close "
            "backtest/test_ladder_properties.py::"
            "test_cash_and_base_are_what_the_fills_left_and_never_below_zero "
            f"{ANY_EXITS}",
        ),
        rule(
            "Trades are closed round trips; a trade's profit is after all fees.",
            f"{TARGETS}test_trades_are_closed_round_trips_and_what_cannot_be_said_is_null "
            f"{SWEEPS}test_a_hand_worked_round_trip_of_two_fills",
            f"backtest/test_round_trips.py::test_trips_are_those_of_a_fold_by_hand {ANY_EXITS}",
        ),
        rule(
            "Ratios are fractions, the drawdown is 0 or below and counts from the starting cash.",
            f"{TARGETS}test_trades_are_closed_round_trips_and_what_cannot_be_said_is_null "
            f"{METRICS}test_returns_of_the_curve_are_the_series_again_and_count_the_first_loss "
            f"{METRICS}test_the_golden_series_has_its_golden_ratios",
            f"{METRICS}test_the_compiled_curve_equals_the_readable_definitions "
            "backtest/test_event_form.py::test_macd_equals_the_naive_oracle_in_every_column",
        ),
        rule(
            "Sharpe and Sortino are of daily UTC returns, 365 a year, days without a trade included.",
            f"{METRICS}test_the_golden_series_has_its_golden_ratios "
            "backtest/test_event_form.py::test_days_without_a_trade_are_samples_too",
            f"{SWEEPS}test_every_metric_equals_the_naive_oracle "
            "backtest/test_event_form.py::test_macd_equals_the_naive_oracle_in_every_column",
        ),
        rule(
            "What cannot be computed is null with its reason, never infinite: nothing is annualised under 90 "
            "days, and no profit factor is told without a loss.",
            "backtest/test_command_face.py::test_what_cannot_be_computed_is_null_with_its_reason "
            f"{METRICS}test_growth_and_calmar_are_annualised_from_ninety_days_on "
            f"{TARGETS}test_trades_are_closed_round_trips_and_what_cannot_be_said_is_null",
            "backtest/test_event_form.py::test_macd_equals_the_naive_oracle_in_every_column",
        ),
        rule(
            "Parameters that contradict each other are an error of one backtest; in a grid such rows are "
            "dropped and counted.",
            f"{BAD}test_a_bad_call_is_exit_code_2_and_one_line backtest/test_grid_everywhere.py::"
            "test_a_sweep_has_a_row_for_each_valid_grid_and_each_row_is_a_backtest",
            because="each strategy's own rule says what contradicts; the example has both kinds of rows",
        ),
        rule(
            "The hash of the data covers every field of every candle that was used, warm-up included.",
            f"strategies/test_contract.py::test_the_hash_of_candles_is_that_of_their_packed_little_endian_fields "
            f"{EXITS}test_the_average_true_range_is_fed_from_before_the_window",
            EVENT_EXITS,
        ),
    ),
    "Guards": (
        rule(
            "So many buys a day, by the day of their fill; the day is the market's and ends at midnight UTC.",
            f"{GUARDS}test_trades_a_day_are_buys_by_the_day_of_their_fill "
            f"{GUARDS}test_a_day_has_not_ended_before_midnight_though_no_candle_of_it_follows",
            f"{ANY_GUARDS} {EVENT_EXITS}",
            live=LIVE_GUARDS,
        ),
        rule(
            "A daily loss counts from the last close of the day before.",
            f"{GUARDS}test_a_daily_loss_counts_from_the_last_close_of_yesterday "
            f"{GUARDS}test_a_daily_loss_before_a_hole_at_midnight_counts_from_the_day_before",
            f"{ANY_GUARDS} {EVENT_EXITS}",
            live=LIVE_GUARDS,
        ),
        rule(
            "A drawdown counts from the highest close.",
            GUARDS + "test_a_drawdown_counts_from_the_highest_close",
            f"{ANY_GUARDS} {EVENT_EXITS}",
            live=LIVE_GUARDS,
        ),
        rule(
            "A cooldown counts closes from the end of a round trip; a streak of losses pauses or ends the buying.",
            f"{GUARDS}test_a_cooldown_holds_back_so_many_closes_from_the_end_of_a_round_trip_on "
            f"{GUARDS}test_a_streak_of_losses_pauses_or_ends_the_buying",
            f"{ANY_GUARDS} {EVENT_EXITS}",
            live=LIVE_GUARDS,
        ),
        rule(
            "Size shrinks with the volatility that was.",
            GUARDS + "test_size_is_scaled_by_the_volatility_that_was",
            f"{ANY_GUARDS} {EVENT_EXITS}",
            live=LIVE_GUARDS,
        ),
        rule(
            "No guard holds a sale or an exit back. Of a ladder the buys wait, the sales stay.",
            f"{GUARDS}test_guards_never_hold_back_a_sale_or_an_exit "
            f"{LADDERS}test_a_guard_takes_a_ladders_buys_back_at_a_close_and_its_sales_stay "
            f"{LADDERS}test_buys_that_a_guard_held_back_are_placed_again_when_it_lets_go",
            f"{ANY_GUARDS} {LADDER_GUARDS}",
            live=PARITY + "test_guards_hold_back_the_same_buys_on_the_live_path",
        ),
        rule(
            "An order that is too small is no order: it is refused for that, and no guard counts it.",
            GUARDS + "test_a_buy_that_is_too_small_is_not_counted_as_held_back",
            f"{LADDER_GUARDS} {EVENT_EXITS}",
        ),
        rule(
            "Caps of the account are known to the event engine's portfolio and to the gateway alone.",
            "backtest/test_portfolio.py::"
            "test_an_entry_that_would_break_the_exposure_cap_is_refused_and_spent",
            "backtest/test_portfolio.py::"
            "test_the_account_is_the_sum_of_its_fills_and_its_caps_hold_at_every_entry",
        ),
    ),
    "One decision everywhere": (
        rule(
            "A decision reads candle and position and writes an intent; these are all their fields.",
            "strategies/test_contract.py::test_a_record_of_version_1_has_these_fields_and_no_other",
            because="fields are what they are; that a decision sees no more is shown below",
        ),
        rule(
            "A strategy decides from its state, the candle and its position: not from chance, a clock, a "
            "global that can change, or arithmetic that another machine does otherwise.",
            "strategies/test_contract.py::"
            "test_no_core_and_no_strategy_is_fast_at_the_price_of_being_the_same_everywhere "
            "strategies/test_own_strategies.py::test_a_mistake_in_its_text_is_one_line_and_nothing_is_kept",
            "strategies/test_every_strategy.py::test_what_comes_later_changes_no_decision "
            f"{DECISIONS}test_the_random_control_draws_what_pythons_integers_draw",
        ),
        rule(
            "Sweep, backtest, event engine, backtrader and the live path make the same decisions and fills.",
            "backtest/test_event_driven.py::test_event_engine_and_kernel_agree_fill_for_fill "
            f"{PARITY}test_every_target_strategy_is_equal_in_sweep_event_engine_and_backtrader",
            f"{EVENT_TARGETS} {EVENT_EXITS} {EVENT_LADDER} backtest/test_reference.py::"
            "test_backtrader_agrees_on_any_targets_over_candles_without_trade",
            live=PARITY + "test_a_month_of_recorded_candles_is_equal_in_all_engines",
        ),
    ),
}


def nodes() -> list[str]:
    """Return every test that the map names, once."""
    found = [
        name
        for rules in GROUPS.values()
        for one in rules
        for name in (*one.by_hand, *one.on_any_market, *one.live)
    ]
    return list(dict.fromkeys(found))


def page() -> str:
    """Return the map as a page."""
    parts = [
        "# What the engines do, and what shows it",
        "Every rule below has an example of a few candles that was **worked by hand**, its arithmetic in the test, "
        "and is held **on any market** against slow, independent code or another engine. Examples run in the "
        "compiled kernel, in the kernel with the exchange's filters and on the matching engine; **live** names what "
        "shows it where real orders go. Where something is missing, the rule says why.",
        "Made from [tests/engine_rules.py](../tests/engine_rules.py), which a test holds to the tests that there are.",
        " · ".join(f"[{name}](#{name.lower().replace(' ', '-')})" for name in GROUPS),
    ]
    for name, rules in GROUPS.items():
        parts += [f"## {name}", *(_told(one) for one in rules)]
    return "\n\n".join(parts) + "\n"


def _told(one: Rule) -> str:
    lines = [f"**{one.says}**"]
    for label, names in (
        ("by hand", one.by_hand), ("on any market", one.on_any_market), ("live", one.live),
    ):  # fmt: skip
        if names:
            lines.append(f"- {label}: {'; '.join(map(_link, names))}")
    if one.because:
        lines.append(f"- not more: {one.because}")
    return "\n".join([lines[0], "", *lines[1:]])


def _link(name: str) -> str:
    file, _, test = name.partition("::")
    return f"[{test.removeprefix('test_').replace('_', ' ')}](../tests/{file})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
