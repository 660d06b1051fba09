"""What the engines do with targets and exits, and how large an order is."""

from __future__ import annotations

from tests.engine_rules.rule import (
    ANY_EXITS,
    ANY_GUARDS,
    ANY_LADDER,
    ANY_TARGETS,
    BAD,
    CORE,
    EVENT_EXITS,
    EVENT_TARGETS,
    EXITS,
    GUARDS,
    LADDERS,
    LOTS,
    PARITY,
    TARGETS,
    Rule,
    rule,
)

RULES: dict[str, tuple[Rule, ...]] = {
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
}
