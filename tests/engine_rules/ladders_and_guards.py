"""What the engines do with ladders, late and missing candles, and under guards."""

from __future__ import annotations

from tests.engine_rules.rule import (
    ANY_EXITS,
    ANY_GUARDS,
    ANY_LADDER,
    ANY_TARGETS,
    CORE,
    EVENT_EXITS,
    EVENT_LADDER,
    EVENT_TARGETS,
    EXITS,
    GUARDS,
    LADDER_GUARDS,
    LADDERS,
    LIVE_GUARDS,
    PARITY,
    TARGETS,
    Rule,
    rule,
)

RULES: dict[str, tuple[Rule, ...]] = {
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
            "A ladder that contradicts itself, or has more than 64 rungs, is one clear error.",
            f"{LADDERS}test_a_ladder_that_contradicts_itself_is_one_clear_error "
            "strategies/test_contract.py::test_a_ladder_has_at_most_64_rungs",
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
}
