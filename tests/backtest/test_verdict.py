"""The verdict: never green on noise, green where there is an edge, and every gate can miss."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests import naive
from tests.backtest.edge_markets import turning
from tests.candle_builders import candles_of, martingale
from workbench.analysis.trials import TrialCounts
from workbench.backtest.grids import Grid
from workbench.backtest.results import SweepResult
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.backtest.streaming import sweep_to
from workbench.backtest.sweep import sweep_params
from workbench.backtest.verdict import evidence as verdict_evidence
from workbench.backtest.verdict import gates
from workbench.backtest.verdict.chosen_row import neighbours_of, row_of
from workbench.backtest.verdict.judge import Terms, run_verdict, sweep_verdict
from workbench.backtest.verdict.replayed import daily_returns, records_of, rows_of
from workbench.backtest.verdict.result import Colour, Gate, Outcome, colour_of, why
from workbench.backtest.verdict.stress import Chosen, at_costs, break_even, exits_form
from workbench.backtest.verdict.trials import tried
from workbench.errors import UsageError
from workbench.execution.exits import exits_of
from workbench.execution.guards import Guards
from workbench.strategies import load

SPEC = load("ema_cross")
AXES = {"fast": range(3, 12, 2), "slow": range(16, 40, 4)}
QUICK = Terms(delays=())


@pytest.fixture(scope="module")
def edge() -> SweepResult:
    """Return the sweep of a market with an edge: 30 sets over two years of 4h candles."""
    return sweep_params(turning(4_380, 0), SPEC, SPEC.grid(AXES))


@pytest.fixture(scope="module")
def noise() -> SweepResult:
    """Return the sweep of a market without any: 30 sets over a year of 4h candles."""
    return sweep_params(martingale(2_190, 0, interval="4h"), SPEC, SPEC.grid(AXES))


def test_an_edge_is_green_and_says_what_was_chosen(edge: SweepResult) -> None:
    verdict = sweep_verdict(edge)
    assert verdict.colour is Colour.GREEN, verdict
    assert verdict.why == "All 17 gates were passed, on this past."
    best = edge.best("sharpe")
    assert verdict.params == {"fast": best["fast"], "slow": best["slow"]}
    assert verdict.chosen == "highest sharpe of 30 rows"
    assert verdict.figures["sharpe"] == pytest.approx(best["sharpe"])
    assert verdict.figures["total_return"] == pytest.approx(best["total_return"])
    assert [row.label for row in verdict.delays] == ["+0", "+1", "+2"]
    earned = [row.total_return for row in verdict.delays]
    assert earned == sorted(earned, reverse=True)  # a trend that is joined later pays less


def test_martingales_are_never_green(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = tuple(gates.bias_gate(name, "clean", "") for name in ("look-ahead", "warm-up"))
    monkeypatch.setattr(verdict_evidence, "bias_gates", lambda _: clean)  # the same 20 times over
    grid = SPEC.grid(AXES)
    seen = [
        sweep_verdict(
            sweep_params(martingale(2_190, seed, interval="4h", substeps=20), SPEC, grid),
            terms=QUICK,
        ).colour
        for seed in range(20)
    ]
    assert Colour.GREEN not in seen
    assert seen.count(Colour.RED) >= 18


def test_an_edge_is_red_where_decisions_hang_on_where_the_data_begins(edge: SweepResult) -> None:
    hasty = replace(SPEC, stable=lambda params: np.ones(np.shape(params), np.int64))
    verdict = sweep_verdict(replace(edge, spec=hasty), terms=QUICK)
    assert verdict.gate("warm-up").outcome is Outcome.FAILED
    assert verdict.gate("look-ahead").outcome is Outcome.PASSED
    assert verdict.colour is Colour.RED
    assert verdict.why.startswith("Warm-up differs")


def test_the_same_sweep_gets_the_same_verdict(noise: SweepResult) -> None:
    one, two = (sweep_verdict(noise, terms=QUICK).to_dict() for _ in range(2))
    one.pop("seconds"), two.pop("seconds")
    assert one == two
    other = sweep_verdict(noise, terms=replace(QUICK, seed=1)).to_dict()
    assert other["figures"]["drawdown_p05"] != one["figures"]["drawdown_p05"]  # type: ignore[index]


def test_returns_are_those_that_the_rows_were_made_of(noise: SweepResult) -> None:
    rows = rows_of(noise, 0, "sharpe", rng=np.random.default_rng(0))
    returns = daily_returns(
        noise.candles, SPEC, rows.records, costs=noise.costs, threads=2, progress=False
    )
    assert returns.shape == (365, 30)
    for column in (0, 7, 29):
        row = rows.frame.row(column, named=True)
        run = backtest(noise.candles, SPEC, costs=noise.costs, fast=row["fast"], slow=row["slow"])
        wanted = naive.daily_returns(
            noise.candles.records["open_time"].tolist(),
            noise.candles.timeframe.mean_ms,
            10_000.0,
            run.curve["equity"].tolist(),
        )
        assert returns[:, column] == pytest.approx(wanted)
        assert row["sharpe"] == pytest.approx(naive.sharpe(wanted, 365))


def test_more_rows_than_can_be_laid_out_are_sampled_aloud(noise: SweepResult) -> None:
    rows = rows_of(noise, 17, "sharpe", rng=np.random.default_rng(3), most=12)
    assert (rows.of, rows.is_sample) == (30, True)
    values = noise.frame["sharpe"].to_numpy()
    assert rows.frame["sharpe"][0] == values[17]
    kept = rows.frame["sharpe"].to_list()
    assert set(np.sort(values)[-6:]) <= set(kept)  # the best half of those that are kept
    assert len(set(kept)) == rows.frame.height
    verdict = sweep_verdict(noise, terms=replace(QUICK, most_rows=12))
    assert any("look at 12 of 30 rows" in note for note in verdict.notes)


def test_a_row_is_chosen_by_its_parameters(noise: SweepResult) -> None:
    number = row_of(noise, {"fast": 5, "slow": 24}, "sharpe")
    assert noise.frame.row(number, named=True)["slow"] == 24
    verdict = sweep_verdict(noise, choose={"fast": 5, "slow": 24}, terms=QUICK)
    assert (verdict.params, verdict.chosen) == ({"fast": 5, "slow": 24}, "asked for among 30 rows")
    with pytest.raises(
        UsageError, match=r"2 combinations|6 combinations .* have fast=5; name more"
    ):
        row_of(noise, {"fast": 5}, "sharpe")
    with pytest.raises(UsageError, match="no combination of the sweep has fast=4 & slow=24"):
        row_of(noise, {"fast": 4, "slow": 24}, "sharpe")
    with pytest.raises(UsageError, match="no parameter 'speed'; it has fast, slow"):
        row_of(noise, {"speed": 4}, "sharpe")


def test_neighbours_are_the_cube_around_a_row(noise: SweepResult) -> None:
    frame = noise.frame
    row = frame.filter(fast=5, slow=24).row(0, named=True)
    wanted = frame.filter(
        pl.col("fast").is_in([3, 5, 7]) & pl.col("slow").is_in([20, 24, 28])
    ).filter(~((pl.col("fast") == 5) & (pl.col("slow") == 24)))
    assert wanted.height == 8
    assert sorted(neighbours_of(noise, row, "sharpe")) == sorted(wanted["sharpe"])
    corner = frame.filter(fast=3, slow=16).row(0, named=True)
    assert len(neighbours_of(noise, corner, "sharpe")) == 3


def test_exits_are_axes_too_and_come_back_from_the_frame() -> None:
    candles = martingale(600, 4, interval="4h", substeps=20)
    grid = Grid.of(
        SPEC, {"fast": [3, 5], "slow": [20]}, {"stop": ["2%", "3atr", 0], "time_stop": [0, 48]}
    )
    result = sweep_params(candles, SPEC, grid.all())
    assert (records_of(SPEC, result.frame) == grid.all()).all()
    row = result.frame.filter(fast=3, exit_stop_unit="pct", exit_time_stop=0).row(0, named=True)
    # A step on each axis: fast 5, no stop or 3atr (units in their order), a time stop.
    near = neighbours_of(result, row, "total_return")
    assert len(near) == 11
    verdict = sweep_verdict(
        result,
        choose={"fast": 3, "exit_stop_unit": "pct", "exit_time_stop": 48},
        terms=QUICK,
    )
    assert verdict.exits == "stop=2%, time_stop=48"


def test_exits_are_written_as_a_caller_would() -> None:
    form = {
        "stop": "2.5%",
        "take_profit": "3.25atr",
        "trail": 150,
        "time_stop": 48,
        "atr_period": 20,
    }
    record = exits_of(form)
    assert (exits_of(exits_form(record[0])) == record).all()
    assert exits_form(exits_of(None)[0]) == {}


def test_break_even_cost_is_that_at_which_nothing_is_left(edge: SweepResult) -> None:
    # Small gains: where an account hardly grows, the formula and a run at that cost agree.
    candles = candles_of(
        [100.0] * 3 + [101.0] * 3 + [100.0] * 3, [100.0] * 2 + [101.0] * 3 + [100.0] * 4
    )
    hold = load("hold")
    record = hold.params().reshape(1)
    chosen = Chosen(candles, hold, record, exits_of(None), Costs())
    free = backtest(candles, hold, costs=Costs(fee_bps=0.0, slippage_bps=0.0))
    traded = sum(f["price"] * f["quantity"] for f in free.fill_records)
    assert break_even(chosen) == pytest.approx((free.curve["equity"][-1] - 10_000.0) / traded)
    row = edge.best("sharpe")
    best = Chosen(
        edge.candles,
        SPEC,
        SPEC.params(fast=row["fast"], slow=row["slow"]).reshape(1),
        exits_of(None),
        Costs(),
    )
    costs = [one.total_return for one in at_costs(best)]
    assert costs == sorted(costs, reverse=True)
    assert costs[2] == pytest.approx(row["total_return"])


def test_more_trials_in_the_ledger_make_the_same_result_worth_less(edge: SweepResult) -> None:
    few = sweep_verdict(edge, terms=QUICK)
    spread = float(np.var(edge.frame["sharpe"].to_numpy() / math.sqrt(365), ddof=1))
    counts = TrialCounts(
        n=100_000, seen=120_000, with_trades=99_000, sharpe_variance=0.02, ledger_n=200_000
    )
    many = sweep_verdict(edge, trials=counts, terms=QUICK)
    assert many.figures["trials"] == 100_000
    assert many.figures["dsr"] < few.figures["dsr"]  # type: ignore[operator]
    assert many.figures["sharpe_variance_here"] == pytest.approx(spread)
    assert many.figures["dsr_here"] > many.figures["dsr"]  # type: ignore[operator]
    assert few.figures["dsr_here"] == few.figures["dsr"]
    assert many.colour is Colour.RED
    assert "deflated sharpe" in many.why.lower()
    assert any("100,000 distinct trials" in note for note in many.notes)
    # a ledger that holds fewer than the sweep itself is not believed
    none = sweep_verdict(edge, trials=TrialCounts(0, 0, 0, math.nan, 0), terms=QUICK)
    assert none.figures["trials"] == 30
    assert tried(
        None, 30, edge.frame["sharpe"].to_numpy() / math.sqrt(365)
    ).variance == pytest.approx(spread)


def test_rows_that_the_ledger_could_not_take_are_counted_on_top(edge: SweepResult) -> None:
    counts = TrialCounts(40, 40, 40, 0.001, 90, "ab" * 32)
    assert sweep_verdict(edge, trials=counts, terms=QUICK).figures["trials"] == 40
    lost = replace(edge, uncounted="NOT COUNTED: 30 trials: the disk is full")
    verdict = sweep_verdict(lost, trials=counts, terms=QUICK)
    assert verdict.figures["trials"] == 70
    assert any("head abababababab; 30 that it could not be given" in one for one in verdict.notes)


def test_weekly_candles_are_deflated_in_their_own_samples() -> None:
    candles = martingale(400, 3, interval="1w", sigma=0.05, substeps=20)
    result = sweep_params(candles, SPEC, SPEC.grid(AXES))
    counts = TrialCounts(n=500, seen=500, with_trades=500, sharpe_variance=0.0004, ledger_n=500)
    found = sweep_verdict(result, trials=counts, terms=QUICK).figures
    # The best of 500 shows 0.02 x E[max] a day, and sqrt(365) times that a year, in weeks as in days.
    gamma, ppf = np.euler_gamma, stats.norm.ppf
    luck = (1 - gamma) * ppf(1 - 1 / 500) + gamma * ppf(1 - 1 / (500 * math.e))
    assert found["lucky_sharpe"] == pytest.approx(0.02 * math.sqrt(365) * luck, rel=1e-9)


def test_one_backtest_has_no_rivals_and_cannot_be_green(edge: SweepResult) -> None:
    row = edge.best("sharpe")
    run = backtest(edge.candles, SPEC, costs=edge.costs, fast=row["fast"], slow=row["slow"])
    verdict = run_verdict(run, terms=QUICK)
    assert verdict.colour is Colour.AMBER
    assert verdict.gate("overfitting (PBO)").outcome is Outcome.UNDECIDED
    assert "sweep around it" in verdict.gate("plateau").told
    assert verdict.figures["dsr"] == pytest.approx(verdict.figures["psr"])  # one trial: no luck
    counts = TrialCounts(
        n=5_000, seen=5_000, with_trades=5_000, sharpe_variance=0.05, ledger_n=5_000
    )
    assert run_verdict(run, trials=counts, terms=QUICK).colour is Colour.RED


def test_what_never_trades_says_nothing() -> None:
    flat = candles_of([100.0] * 2_200, [100.0] * 2_200)
    verdict = sweep_verdict(
        sweep_params(flat, SPEC, SPEC.grid(AXES)), metric="total_return", terms=QUICK
    )
    assert verdict.colour is Colour.INSUFFICIENT
    assert verdict.gate("deflated Sharpe").outcome is Outcome.UNDECIDED
    assert verdict.gate("trades").outcome is Outcome.TOO_LITTLE
    assert json.loads(json.dumps(verdict.to_dict()))["verdict"] == "insufficient"


def test_candles_with_holes_fail_and_costs_that_are_off_fail(noise: SweepResult) -> None:
    records = np.delete(noise.candles.records.copy(), slice(1_000, 1_100))
    records["missing_before"][1_000] = 100
    holes = replace(noise.candles, records=records)
    gate = sweep_verdict(sweep_params(holes, SPEC, SPEC.grid(AXES)), terms=QUICK).gate("data")
    assert gate.outcome is Outcome.FAILED
    assert gate.number == pytest.approx(2_090 / 2_190)
    assert gate.told == "1 gaps, 100 candles missing"
    free = sweep_params(noise.candles, SPEC, SPEC.grid(AXES), costs=Costs(0.0, 0.0))
    assert sweep_verdict(free, terms=QUICK).gate("break-even cost").found == "costs are off"


def test_the_drawdown_limit_is_the_guards_where_there_is_one(edge: SweepResult) -> None:
    guarded = sweep_params(
        edge.candles, SPEC, SPEC.grid(AXES), costs=Costs(guards=Guards.of({"drawdown": 0.05}))
    )
    assert sweep_verdict(guarded, terms=QUICK).gate("resampled drawdown").asked == "not below -5%"
    tight = sweep_verdict(edge, terms=replace(QUICK, kill_limit=0.05))
    assert tight.gate("resampled drawdown").outcome is Outcome.MISSED
    assert tight.colour is Colour.AMBER
    with pytest.raises(UsageError, match="kill_limit=30 is no drawdown"):
        Terms(kill_limit=30)


def test_rows_of_a_streamed_sweep_are_judged_from_their_file(
    noise: SweepResult, tmp_path: Path
) -> None:
    streamed = sweep_to(tmp_path / "rows.parquet", noise.candles, Grid.of(SPEC, AXES))
    one, two = (sweep_verdict(each, terms=QUICK).to_dict() for each in (noise, streamed))
    one.pop("seconds"), two.pop("seconds")
    assert one == two


@pytest.mark.parametrize(
    ("outcomes", "colour"),
    [
        (["passed", "passed"], "green"),
        (["passed", "missed"], "amber"),
        (["passed", "undecided"], "amber"),
        (["missed", "too little"], "insufficient"),
        (["too little", "failed"], "red"),
        (["failed", "missed", "passed"], "red"),
    ],
)
def test_colours_follow_the_gravest_gate(outcomes: list[str], colour: str) -> None:
    made = tuple(Gate(f"gate {i}", "x", "y", Outcome(one)) for i, one in enumerate(outcomes))
    assert colour_of(made).value == colour
    if colour != "green":
        assert (
            f"gate {outcomes.index({'red': 'failed', 'insufficient': 'too little'}.get(colour, outcomes[1]))}"
            in why(made).lower()
        )


def test_thresholds_are_met_at_their_edge_and_missed_beyond() -> None:
    def outcome(gate: Gate) -> str:
        return gate.outcome.value

    def deflated(value: float) -> Gate:
        return gates.deflated_gate(value, 1.0, trials=9, worth=9.0)

    assert [outcome(deflated(v)) for v in (0.95, 0.949)] == ["passed", "failed"]
    assert outcome(gates.cost_gate(0.0022, 0.0011)) == "passed"
    assert outcome(gates.cost_gate(0.0021, 0.0011)) == "failed"
    assert [outcome(gates.trades_gate(n, outside=True)) for n in (30, 29)] == [
        "passed",
        "too little",
    ]
    assert [outcome(gates.days_gate(n)) for n in (90, 89)] == ["passed", "too little"]
    assert [outcome(g) for g in gates.walk_forward_gates(0.5, 0.6, "")] == ["passed", "passed"]
    assert [outcome(g) for g in gates.walk_forward_gates(0.49, 0.59, "")] == ["missed", "missed"]
    assert [outcome(g) for g in gates.walk_forward_gates(None, None, "why")] == ["undecided"] * 2
    assert outcome(gates.best_trades_gate(0.5)) == "passed"
    assert outcome(gates.best_trades_gate(0.51)) == "missed"
    around = np.array([0.7, 0.7, 0.1])
    assert outcome(gates.plateau_gate(1.0, around, "")) == "passed"
    assert outcome(gates.plateau_gate(1.01, around, "")) == "missed"
    assert outcome(gates.plateau_gate(1.0, np.array([0.9, 0.9, -0.1]), "")) == "missed"
    assert outcome(gates.plateau_gate(-1.0, around, "")) == "missed"
    for word, wanted in (("clean", "passed"), ("open", "undecided"), ("biased", "failed")):
        assert outcome(gates.bias_gate("look-ahead", word, "")) == wanted
