"""What a strategy would write at the newest close: asked before its instance starts, in vain if it may not.

It is asked twice after its warm-up, with its capital in cash and with half of it in base, since many write
their stop only where they hold something. What it writes later is judged when it is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.gateway.core import candle_bytes, candle_records
from bridge.journal_rows import CandleRow
from bridge.runner_link import Loaded, RunnerLink
from workbench.execution.ledger import Fill, Ledger
from workbench.market.instruments import SCALE, Instrument

NAME = "trial"
TRIAL_SECONDS = 5.0


async def first_intents(
    link: RunnerLink,
    loaded: Loaded,
    candles: Sequence[CandleRow],
    *,
    capital_e8: int,
    instrument: Instrument,
) -> tuple[bytes, bytes]:
    """Return what it writes at the last of these candles: with nothing held, and holding base."""
    *earlier, newest = candles
    state = loaded.initial_state
    if loaded.stable and earlier:
        warm = candle_records(earlier[-loaded.stable :]).tobytes()
        state = await link.warm_up(state, warm, capital_e8 / SCALE)
    intents = []
    for seq, share in enumerate((0.0, 0.5), 1):
        position = _position(newest, int(capital_e8 * share), capital_e8, instrument)
        decided = await link.decide(
            seq, state, candle_bytes(newest), position, timeout=TRIAL_SECONDS
        )
        intents.append(decided[1])
    return intents[0], intents[1]


def _position(candle: CandleRow, spent_e8: int, capital_e8: int, instrument: Instrument) -> bytes:
    """Return the account as `decide` sees it, so much spent on base at the candle's close."""
    ledger = Ledger()
    ledger.open_instance(NAME, capital_e8, instrument)
    ticks = round(candle.close * SCALE) // instrument.tick_e8
    lots = spent_e8 // (ticks * instrument.unit_e8) if ticks else 0
    if lots:
        ledger.book_fill(
            Fill(
                NAME, instrument.symbol, 1, 1, NAME, "BUY", ticks * instrument.tick_e8,
                lots * instrument.step_e8, 0, instrument.quote, candle.open_time_ms, is_maker=False,
            )
        )  # fmt: skip
        ledger.end_candle(NAME)
    return ledger.position_bytes(NAME, candle.close)
