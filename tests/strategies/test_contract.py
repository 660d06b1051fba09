"""The records that a decision reads and writes, and what the code that trades may not do."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import workbench
from tests.candle_builders import candles_of
from workbench.core.exits import EXITS
from workbench.core.ladder import ladder_error
from workbench.core.records import CONTRACT, INTENT, LADDER_SIZE, POSITION
from workbench.market.candles import CANDLE
from workbench.strategies import spec

RECORDS = {
    "candle": (CANDLE, "open_time i8, open f8, high f8, low f8, close f8, volume f8, missing_before i4, aux 4f8"),
    "position": (
        POSITION,
        "quantity f8, entry_price f8, cash f8, equity f8, realised f8, bars_held i4, exit_reason i1, ladder_filled u8",
    ),
    "intent": (
        INTENT, "target f8, stop f8, take_profit f8, trail f8, revision i4, n_ladder i4, ladder 64"
    ),
    "rung": (INTENT["ladder"].base, "id i4, side i1, price f8, quote f8, pair_price f8"),
    "exits": (EXITS, "stop level, take_profit level, trail level, atr_period i4, time_stop_bars i4"),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_version_1_has_these_fields_and_no_other(name: str) -> None:
    dtype, said = RECORDS[name]
    found = []
    for field in dtype.names or ():
        kind = dtype[field]
        text = f"{kind.shape[0]}" if kind.shape else kind.str[1:]
        if kind.shape and kind.base.names is None:
            text += kind.base.str[1:]
        found.append(f"{field} {'level' if kind.names else text}")
    assert ", ".join(found) == said
    assert (CONTRACT, LADDER_SIZE) == (1, 64)


def test_the_version_is_part_of_every_strategys_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a state that another version left is one of another strategy, and is refused."""
    before = spec.sha_of("a decision")
    monkeypatch.setattr(spec, "CONTRACT", CONTRACT + 1)
    assert spec.sha_of("a decision") != before


@pytest.mark.parametrize(("rungs", "is_wrong"), [(0, False), (64, False), (65, True), (-1, True)])
def test_a_ladder_has_at_most_64_rungs(rungs: int, is_wrong: bool) -> None:
    intent = np.zeros(1, INTENT)
    intent["n_ladder"] = rungs
    ladder = intent["ladder"][0]
    ladder["id"], ladder["side"], ladder["quote"] = np.arange(64), 1, 10.0
    ladder["price"] = 100.0 - np.arange(64)
    assert bool(ladder_error(intent[0])) == is_wrong


def test_the_hash_of_candles_is_that_of_their_packed_little_endian_fields() -> None:
    candles = candles_of([1.0, 2.0, 3.0], [1.5, 2.5, 3.5])
    candles.records["missing_before"][1] = 7
    candles.records["aux"][2] = 0.25, -1.0, np.nan, 4.0
    packed = b"".join(
        struct.pack("<q5di4d", *one.item()[:7], *one["aux"].tolist()) for one in candles.records
    )
    assert candles.sha256 == hashlib.sha256(packed).hexdigest()
    warmed = replace(candles, first=2)  # what warms a run up is part of what it used
    size = 8 + 5 * 8 + 4 + 4 * 8
    assert warmed.used_sha256(1) == hashlib.sha256(packed[size:]).hexdigest()


def test_no_core_and_no_strategy_is_fast_at_the_price_of_being_the_same_everywhere() -> None:
    """A sum that is put in another order, a random number or a second thread changes the last digit."""
    root = Path(workbench.__file__).parent
    never = re.compile(
        r"fastmath\s*=|parallel\s*=\s*True|np\.random|\bprange\b|^import random|^\s*global ", re.M
    )
    found = [
        f"{file.relative_to(root)}: {one.group()}"
        for room in ("core", "strategies")
        for file in sorted((root / room).glob("*.py"))
        if file.name not in ("declared.py", "checks.py")  # they look for it in what users write
        for one in never.finditer(file.read_text())
    ]
    assert found == []
