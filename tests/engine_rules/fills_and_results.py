"""What a fill costs, what the filters round, what a strategy and a result may say."""

from __future__ import annotations

from tests.engine_rules.rule import (
    AHEAD,
    ANY_EXITS,
    ANY_LADDER,
    ANY_TARGETS,
    BAD,
    CORE,
    DECISIONS,
    EVENT_EXITS,
    EVENT_LADDER,
    EVENT_TARGETS,
    EXITS,
    FINER_LADDER,
    LADDERS,
    LOTS,
    METRICS,
    PARITY,
    SWEEPS,
    TARGETS,
    Rule,
    rule,
)

RULES: dict[str, tuple[Rule, ...]] = {
    "Fills and costs": (
        rule(
            "What is decided at a close fills at the next open, worsened by slippage. Nothing later is known.",
            TARGETS + "test_a_signal_at_a_close_fills_at_the_next_open_and_pays_slippage_and_fee",
            f"{ANY_TARGETS} {SWEEPS}test_what_comes_later_changes_nothing_before "
            f"{AHEAD}test_exits_and_guards_know_nothing_of_what_comes_later "
            f"{AHEAD}test_what_fills_at_an_open_knows_nothing_of_the_candle_that_it_opens "
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
    "One decision everywhere": (
        rule(
            "A decision reads candle and position and writes an intent; these are all their fields.",
            "strategies/test_contract.py::test_a_record_of_version_1_has_these_fields_and_no_other",
            because="fields are what they are; that a decision sees no more is shown below",
        ),
        rule(
            "Their version is part of every strategy's hash; a state that another version left is refused.",
            "strategies/test_contract.py::test_the_version_is_part_of_every_strategys_hash "
            "strategies/test_spec.py::test_the_decision_as_bytes_refuses_a_state_of_another_version",
            live="bridge/test_own_strategy.py::test_a_version_that_is_gone_or_changed_is_refused",
            because="there is one version so far",
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
