"""A live run on the local exchange in step pace: the same window as a backtest, through every process.

One instance trades through supervisor, gateway, runner and unmodified exchange client; the market
moves on only when the instance has decided and its orders are settled. What the journal recorded
comes back as parquet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bridge.cli.export import export_instance
from bridge.embedded import ACCOUNT, embedded_bridge
from workbench import strategies
from workbench.errors import ExchangeError
from workbench.market.candles import Candles

INSTANCE = "rehearsal"


def rehearse(
    candles: Candles,
    *,
    strategy: str,
    params: Mapping[str, float],
    cash: float,
    fee_bps: float,
    slippage_bps: float,
    home: Path,
    out: Path,
    data: str = "auto",
    tick: Callable[[int], object] | None = None,
) -> dict[str, int]:
    """Trade the window of `candles` live on the local exchange and export its journal into `out`.

    `tick(n)` is called as n more candles are done. Returns the rows written a table. Raises
    ExchangeError where the instance faults or does not settle.
    """
    times = candles.window["open_time"]
    after_next = candles.timeframe.next(candles.timeframe.next(int(times[-1])))
    options = [
        "--data", data, "--symbols", candles.symbol, "--interval", str(candles.timeframe),
        "--start", _iso(int(times[0])), "--end", _iso(after_next), "--pace", "step",
        "--balance", f"USDT={cash:.8f}", "--fee-bps", repr(fee_bps),
        "--slippage-bps", repr(slippage_bps), "--weight-limit", "1000000",
        "--order-limit", "1000000",
    ]  # fmt: skip
    if strategy in strategies.own_names():
        strategies.copy_own(strategy, home)
    with embedded_bridge(home, options) as live:
        live.client.start_instance(
            INSTANCE,
            account=ACCOUNT,
            strategy=strategy,
            params=dict(params),
            symbol=candles.symbol,
            interval=str(candles.timeframe),
            capital=f"{cash:.8f}",
        )
        live.client.wait_until(INSTANCE, {"RUNNING"})
        for open_ms in times.tolist():
            live.admin("POST", "/admin/advance", {"symbol": candles.symbol})
            now = live.client.settled(INSTANCE, open_ms, timeout_s=30.0)
            if now["state"] != "RUNNING" or now["last_candle_ms"] != open_ms or not now["settled"]:
                raise ExchangeError(
                    f"the instance is {now['state']} ({now['reason'] or 'no reason'}) and stands at "
                    f"{_iso(now['last_candle_ms'] or 0)} when {_iso(open_ms)} has closed; see {home}"
                )
            if tick:
                tick(1)
        return export_instance(INSTANCE, out, state=home)


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
