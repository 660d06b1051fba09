"""Anyone may ask what an exchange replays, so that made-up candles are never taken for recorded ones."""

from __future__ import annotations

from dataclasses import replace

from tests.local_exchange.conftest import Opener, made_up


async def test_the_market_is_described_to_anyone(open_exchange: Opener) -> None:
    async with open_exchange() as local:
        status, answer = await local.call("GET", "/local/market")
    assert status == 200
    assert answer == {
        "source": "SYNTHETIC random walk of the tests",
        "synthetic": True,
        "symbols": ["BTCUSDT"],
        "interval": "1m",
        "pace": "step",
        "speed": 60.0,
    }


async def test_recorded_candles_are_not_called_synthetic(open_exchange: Opener) -> None:
    recorded = replace(made_up(), source="recorded BTCUSDT 1m")
    async with open_exchange(recorded) as local:
        _, answer = await local.call("GET", "/local/market")
    assert isinstance(answer, dict)
    assert answer["synthetic"] is False
