"""A user's own strategy: a full citizen everywhere, and every mistake in its text one clear line."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.candle_builders import martingale, to_cents
from workbench.backtest.columns import DETAIL_COLUMNS
from workbench.core.statistics import METRICS
from workbench.errors import UsageError
from workbench.face import research as face
from workbench.strategies.declared import RESERVED

CHANNEL = '''"""Buy above the highest close of so many candles, sell below the lowest."""

from numba import njit

PARAMS = {"period": (20, 2, 60, 1, "candles of the channel")}
STATE = {"count": int, "closes": (float, 60)}
WARM_UP = 60


@njit
def decide(state, candle, position, params, intent):
    if state.count >= params.period:
        highest, lowest = 0.0, 1e300
        for back in range(params.period):
            close = state.closes[(state.count - 1 - back) % 60]
            highest, lowest = max(highest, close), min(lowest, close)
        if candle.close > highest:
            intent.target = 1.0
        elif candle.close < lowest:
            intent.target = 0.0
    state.closes[state.count % 60] = candle.close
    state.count += 1
'''
DIVIDES = """
from numba import njit

PARAMS = {"n": (60, 1, 1000)}
WARM_UP = 1


@njit
def decide(state, candle, position, params, intent):
    share = 100.0 / candle.volume
    lots = 7 // int(candle.volume)
    intent.target = 1.0 if share > params.n and lots == 0 else 0.0
"""
WALK = to_cents(martingale(900, 41))


def changed(old: str, new: str) -> str:
    assert old in CHANNEL, old
    return CHANNEL.replace(old, new)


def naive_targets(closes: list[float], period: int) -> list[float | None]:
    """Return what the channel decides, written down with slices."""
    found: list[float | None] = []
    for at, close in enumerate(closes):
        before = closes[at - period : at] if at >= period else []
        found.append(
            1.0
            if before and close > max(before)
            else 0.0
            if before and close < min(before)
            else None
        )
    return found


def test_it_decides_as_it_says_in_the_sweep_the_event_engine_and_alone() -> None:
    spec = wb.strategies.register("channel", CHANNEL)
    assert spec.title == "Buy above the highest close of so many candles, sell below the lowest."
    fast = wb.backtest(WALK, spec, period=8)
    slow = wb.backtest(WALK, spec, engine="event", period=8)
    wanted = naive_targets(WALK.records["close"].tolist(), 8)
    assert fast.equity["target"].to_list() == wanted
    assert slow.equity["target"].to_list() == wanted
    same = ["time", "side", "ticks", "lots", "fee"]
    assert fast.fills.select(same).equals(slow.fills.select(same))
    assert len(fast.fills) > 20
    swept = wb.sweep(WALK, spec, period=range(2, 60), progress=False)
    row = swept.frame.row(6, named=True)
    alone = wb.backtest(WALK, spec, period=8, filters="none")
    assert (row["period"], row["trades"]) == (8, alone.metrics["trades"])
    assert row["final_equity"] == pytest.approx(alone.metrics["final_equity"], rel=1e-12)


def test_a_division_by_zero_decides_the_same_in_every_engine() -> None:
    """A candle without volume divides by zero; the compiled loop once went on where the others raised."""
    spec = wb.strategies.register("divides", DIVIDES)
    records = WALK.records.copy()
    records["volume"][50::50] = 0.0
    candles = replace(WALK, records=records)
    fast = wb.backtest(candles, spec, n=60)
    slow = wb.backtest(candles, spec, engine="event", n=60)
    third = wb.backtest(candles, spec, engine="backtrader", filters="none", n=60)
    # Infinity is above 60 and no whole number of lots is: bought after each candle without volume.
    wanted = [1.0 if one == 0.0 else 0.0 for one in records["volume"]]
    for run in (fast, slow, third):
        assert run.equity["target"].to_list() == wanted
    assert fast.fills["lots"].to_list() == slow.fills["lots"].to_list()
    assert fast.metrics["trades"] == third.metrics["trades"] == 17


def test_a_decision_without_end_is_told_and_holds_nothing_up() -> None:
    """In a process of its own, in which the loop goes on until the process ends."""
    text = changed(
        "    state.count += 1", "    while state.count > 300:\n        pass\n    state.count += 1"
    )
    script = (
        "import sys, workbench as wb\n"
        "from workbench.strategies import checks\n"
        "checks.PATIENCE_S = 1.0\n"
        "wb.strategies.register('endless', sys.stdin.read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=text, capture_output=True, text=True, timeout=300
    )
    assert "still deciding after 1 s: it has a loop without end" in done.stderr
    assert done.returncode == 1
    assert "endless" not in wb.strategies.own_names()


def test_it_is_found_by_name_by_attribute_by_file_and_in_another_process(tmp_path: Path) -> None:
    spec = wb.strategies.register("channel", CHANNEL)
    assert wb.strategies.channel is spec
    assert "channel" in dir(wb.strategies)
    assert wb.strategies.load("channel").sha == spec.sha
    file = tmp_path / "channel_again.py"
    file.write_text(CHANNEL)
    assert wb.strategies.load(str(file)).sha == spec.sha
    assert wb.strategies.own_names().count("channel_again") == 1
    form = spec.describe()["parameters"]
    assert form == [
        {"name": "period", "kind": "int", "low": 2, "high": 60, "step": 1, "default": 20,
         "doc": "candles of the channel"}
    ]  # fmt: skip
    script = "import pickle, sys; spec = pickle.load(sys.stdin.buffer); print(spec.sha)"
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(spec), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == spec.sha


def test_an_edited_cell_is_a_new_version_and_the_old_one_stays() -> None:
    old = wb.strategies.register("edited", CHANNEL)
    new = wb.strategies.register("edited", changed("> highest", ">= highest"))
    assert new.sha != old.sha
    assert wb.strategies.load("edited").sha == new.sha
    assert wb.strategies.load("edited", old.sha).sha == old.sha
    with pytest.raises(UsageError, match="unknown strategy 'edited' in version 000000000000"):
        wb.strategies.load("edited", "0" * 64)


def test_a_notebook_cell_becomes_a_strategy_and_a_mistake_one_line() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shell.run_line_magic("load_ext", "workbench")
        done = shell.run_cell("%%strategy from_a_cell\n" + CHANNEL)
        assert done.success
        assert "from_a_cell" in wb.strategies.own_names()
        failed = shell.run_cell("%%strategy from_a_cell\n" + changed("candle.close", "candle.clse"))
        error = failed.error_in_exec
        assert type(error).__name__ == "UsageError"
        assert str(error).startswith("strategy from_a_cell, line ")
        assert "no field 'clse'" in str(error)
        unnamed = shell.run_cell("%%strategy\n" + CHANNEL)
        assert "strategy name '' must be 1 to 32 small letters" in str(unnamed.error_in_exec)
    finally:
        InteractiveShell.clear_instance()


BODY = "    state.count += 1\n"
MISTAKES = {
    "empty": ("", "has no decide; write @njit above"),
    "no python": (changed("def decide(", "def decide(:"), "line 11: invalid syntax"),
    "null byte": ("x = 1\0", "it is no Python|null bytes"),
    "os": ("import os\n" + CHANNEL, "line 1: it imports os; a strategy imports numba, numpy"),
    "pandas": (changed("from numba import njit", "from numba import njit\nimport pandas as pd"),
               "imports pandas"),
    "backtest": ("from workbench import backtest\n" + CHANNEL, "it imports workbench.backtest"),
    "relative": ("from . import spec\n" + CHANNEL, "it imports ."),
    "chance": (changed(BODY, BODY + "    intent.target = np.random.random()\n"),
               "it uses np.random"),
    "chance by name": ("from numpy import random\n" + CHANNEL, "it imports numpy.random; use"),
    "hidden import": (changed(BODY, BODY + "    __import__('os')\n"), "it uses __import__"),
    "file": ("DATA = open('prices.csv').read()\n" + CHANNEL, "it uses open"),
    "global": (changed(BODY, "    global seen\n" + BODY), "it changes a global"),
    "list": (changed("WARM_UP = 60", "WARM_UP = 60\nLIMITS = [1.0]").replace(
        BODY, BODY + "    intent.stop = LIMITS[0]\n"), "reads the global LIMITS, a list"),
    "endless": (changed(BODY, BODY + "    while True:\n        state.count += 1\n"),
                "a loop without end"),
    "not compiled": (changed("@njit\n", ""), "decide is not compiled; write @njit above it"),
    "fastmath": (changed("@njit\n", "@njit(fastmath=True)\n"), "decide is compiled with fastmath"),
    "arguments": (changed("position, params, intent)", "params, intent)"), r"must take state, candle"),
    "defaults": (changed("params, intent)", "params, intent, size=1.0)"), r"must take state, candle"),
    "field": (changed("candle.close > highest", "candle.price > highest"),
              "candle has no field 'price'; it has open_time, open"),
    "state field": (changed(BODY, BODY + "    state.total += 1\n"), "state has no field 'total'"),
    "parameter": (changed("< lowest", "< lowest * params.factor"), "params has no field 'factor'"),
    "writes candle": (changed(BODY, BODY + "    candle.close = 1.0\n"), "it writes candle.close"),
    "writes by another name": (changed(BODY, BODY + "    seen = candle\n    seen.close = 1.0\n"),
                               "writes to its candle; a decision writes state and intent alone"),
    "type": (changed("intent.target = 1.0", "intent.target = 'all'"), "does not compile: "),
    "name": (changed("intent.target = 1.0", "intent.target = everything"), "does not compile: .*everything"),
    "window": (changed("(float, 60)", "(float, 40)"), "reaches beyond the end of a window"),
    "division": (changed("highest, lowest = 0.0, 1e300", "highest, lowest = 0.0, 1 // (params.period - 60)"),
                 "fails when it decides: ZeroDivisionError"),
    "fails when loaded": ("X = 1 / 0\n" + CHANNEL, "fails when loaded: ZeroDivisionError"),
    "leaves": ("raise SystemExit\n" + CHANNEL, "fails when loaded: SystemExit"),
    "no warm-up": (changed("WARM_UP = 60\n", ""), "WARM_UP is None; say how many candles"),
    "warm-up": (changed("WARM_UP = 60", "WARM_UP = -1"), "WARM_UP is -1"),
    "warm-up text": (changed("WARM_UP = 60", "WARM_UP = '60'"), "WARM_UP is '60'"),
    "stable": (CHANNEL + "\ndef stable(params):\n    return max(params['period'], 5)\n",
               r"stable\(params\) must take one set or an array of sets"),
    "stable nan": (CHANNEL + "\ndef stable(params):\n    return params['period'] * float('nan')\n",
                   r"stable\(params\) gives nan"),
    "stable negative": (CHANNEL + "\ndef stable(params):\n    return -params['period']\n",
                        r"stable\(params\) gives -"),
    "parameters": (changed('PARAMS = {"period": (20, 2, 60, 1, "candles of the channel")}',
                           'PARAMS = ["period"]'), "PARAMS is no dict"),
    "two numbers": (changed('(20, 2, 60, 1, "candles of the channel")', "(20, 60)"),
                    "write \"period\": .default, low, high"),
    "default": (changed("(20, 2, 60", "(1, 2, 60"), "default must lie from low to high"),
    "infinite": (changed("(20, 2, 60, 1,", "(20.0, 2.0, float('inf'), 1.0,"), "all of them finite"),
    "step": (changed("(20, 2, 60, 1,", "(20, 2, 60, 0,"), "the step above 0"),
    "text": (changed("(20, 2, 60,", "(20, 'two', 60,"), "all of them numbers"),
    "keyword": (changed('"period"', '"lambda"'), "with a name that Python takes"),
    "reserved": (changed('"period"', '"cash"').replace("params.period", "params.cash"),
                 "the workbench itself calls something 'cash'"),
    "metric": (changed('"period"', '"sharpe"').replace("params.period", "params.sharpe"),
               "the workbench itself calls something 'sharpe'"),
    "long window": (changed("(float, 60)", "(float, 1000)").replace(
                        "state.closes[state.count % 60] =", "state.closes[state.count] ="),
                    "reaches beyond the end of a window"),
    "state": (changed('STATE = {"count": int, "closes": (float, 60)}', "STATE = 7"), "STATE is no dict"),
    "state object": (changed('"count": int', '"count": dict'), "no number of fixed size"),
    "state too large": (changed("(float, 60)", "(float, 10**6)"), "STATE takes 8,000,0.* bytes, at most"),
    "invalid defaults": (CHANNEL + "\n@njit\ndef valid(params):\n    return params.period > 30\n",
                         "its defaults are not valid"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_its_text_is_one_line_and_nothing_is_kept(mistake: str) -> None:
    text, says = MISTAKES[mistake]
    with pytest.raises(UsageError, match=says) as told:
        wb.strategies.register("mistaken", text)
    message = str(told.value)
    assert message.startswith("strategy mistaken")
    assert len(message.splitlines()) == 1
    assert len(message) < 420
    assert "mistaken" not in wb.strategies.own_names()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("macd", "'macd' is taken by the workbench"),
        ("load", "'load' is taken by the workbench"),
        ("9lives", "must be 1 to 32 small letters"),
        ("Über", "must be 1 to 32 small letters"),
        ("../escape", "must be 1 to 32 small letters"),
        ("a" * 33, "must be 1 to 32 small letters"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        wb.strategies.register(name, CHANNEL)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        wb.strategies.load(str(tmp_path / "nowhere.py"))
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        wb.strategies.load(str(binary))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_text_with_a_line_torn_out_or_cut_short_is_never_another_kind_of_error(
    data: st.DataObject,
) -> None:
    from workbench.strategies import own

    lines = CHANNEL.splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, len(lines[at])))
    torn = "".join((*lines[:at], lines[at][:cut], *lines[at + 1 :]))
    told = ""
    try:
        own.build("torn", torn)  # reads and executes; compiling is for the table above
    except UsageError as error:
        told = str(error)
    assert len(told.splitlines()) <= 1


def test_no_parameter_can_be_named_like_an_argument_or_a_column() -> None:
    taken = set(RESERVED) | set(METRICS.names or ())
    for call in (face.sweep, face.backtest):
        keywords = [
            one.name
            for one in inspect.signature(call).parameters.values()
            if one.kind is not one.VAR_KEYWORD
        ]
        assert {*keywords, *DETAIL_COLUMNS} <= taken, "add it to RESERVED in strategies/declared.py"
    shipped = {p.name for n in wb.strategies.names() for p in wb.strategies.load(n).parameters}
    assert not shipped & taken


def test_every_candle_tried_is_one_that_could_be() -> None:
    from workbench.market.candles import refuse_bad_records
    from workbench.strategies.checks import _made_up

    refuse_bad_records(_made_up(), label="made up")
    assert np.ptp(_made_up()["close"]) > 10
