"""A run that ends earlier is the beginning of the longer one: nothing that comes later is known before.

With exits, guards, finer candles and ladders, in the kernel and on the matching engine. A look at the
next candle alone would show in what fills at its open.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backtest.scripted_ladder import scripted as ladder_script
from tests.backtest.test_engine_semantics import Engine
from tests.backtest.test_exits_event_driven import GUARDS
from tests.backtest.test_ladder_properties import HOLDING, LEVELS, in_parts, own_guards, scripts
from tests.naive_exits import Rules
from tests.naive_ladder import Levels
from tests.protected_markets import market, rules, said
from tests.scripted import SCRIPTED
from workbench.backtest.event.driven import event_driven
from workbench.backtest.setting import Costs
from workbench.backtest.single import backtest
from workbench.execution.guards import Guards
from workbench.market.candles import Candles
from workbench.strategies.spec import Spec


def _is_the_beginning(
    engine: Engine, candles: Candles, cut: int, spec: Spec, **asked: object
) -> None:
    whole = engine(candles, spec, **asked)
    early = engine(replace(candles, records=candles.records[:cut]), spec, **asked)
    told = ["equity", "cash", "quantity", "target"]
    assert early.equity.select(told).equals(whole.equity.select(told)[:cut], null_equal=True)
    last = early.equity["open_time"][-1]
    assert early.fills.equals(whole.fills.filter(whole.fills["time"] <= last))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1_000_000),
    exits=rules(),
    guards=GUARDS,
    cut=st.integers(12, 99),
    finer=st.booleans(),
)
def test_exits_and_guards_know_nothing_of_what_comes_later(
    seed: int, exits: Rules, guards: Guards, cut: int, finer: bool
) -> None:
    candles = market(seed, 100, writes_levels=True).candles
    candles.records["aux"][:8, 0] = np.nan  # no entry before every average true range has a value
    candles = candles if finer else replace(candles, fine=None)
    costs = Costs(filters="exchange", guards=guards)
    for engine in (backtest, event_driven):
        _is_the_beginning(engine, candles, cut, SCRIPTED, costs=costs, exits=said(exits))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000_000), exits=rules(), guards=GUARDS, cut=st.integers(12, 98))
def test_what_fills_at_an_open_knows_nothing_of_the_candle_that_it_opens(
    seed: int, exits: Rules, guards: Guards, cut: int
) -> None:
    candles = replace(market(seed, 100, writes_levels=True).candles, fine=None)
    candles.records["aux"][:8, 0] = np.nan
    candles.records["aux"][cut - 1, 0] = (
        0.125  # there is an order to fill, unless a guard holds it back
    )
    fell = candles.records[: cut + 1].copy()
    fell["low"][cut] = fell["close"][cut] = np.round(fell["low"][cut] / 2, 2)
    costs = Costs(filters="exchange", guards=guards)
    for engine in (backtest, event_driven):
        told = []
        for records in (candles.records[: cut + 1], fell):
            run = engine(
                replace(candles, records=records), SCRIPTED, costs=costs, exits=said(exits)
            )
            at_the_open = (run.fills["time"] == run.equity["open_time"][-1]) & (
                run.fills["reason"] == "signal"
            )
            told.append(run.fills.filter(at_the_open).select("side", "ticks", "lots").rows())
        assert told[0] == told[1]


@settings(max_examples=25, deadline=None)
@given(st.data(), in_parts(), LEVELS, HOLDING, st.booleans())
def test_a_ladder_knows_nothing_of_what_comes_later(
    data: st.DataObject, candles: Candles, levels: Levels, held: Rules, touch: bool
) -> None:
    script = replace(data.draw(scripts(len(candles))), levels=levels)
    cut = data.draw(st.integers(2, len(candles)))
    costs = Costs(filters="exchange", touch=touch, guards=own_guards(held))
    for engine in (backtest, event_driven):
        _is_the_beginning(engine, candles, cut, ladder_script(), costs=costs, **script.params())
