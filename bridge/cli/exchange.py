"""`bridge exchange`: the local exchange in the foreground, until Ctrl-C or its parent is gone."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import UsageError

if TYPE_CHECKING:
    from asyncio import Event, Task

    from bridge.local_exchange.settings import Settings


def exchange(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="First line as JSON.")] = False,
    data: Annotated[str, typer.Option(help="auto, synthetic, or a folder of candles.")] = "auto",
    symbols: Annotated[str, typer.Option(help="Symbols, separated by commas.")] = "BTCUSDT",
    crowd: Annotated[int, typer.Option(help="So many made-up symbols, for load.")] = 0,
    interval: Annotated[str, typer.Option(help="Interval of the candles to replay.")] = "1m",
    fine: Annotated[
        str | None, typer.Option(help="Finer interval, drawn inside the candles: SYNTHETIC.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="First candle to replay, ISO, UTC.")] = None,
    end: Annotated[str | None, typer.Option(help="End of the replay, ISO, UTC.")] = None,
    trades: Annotated[
        str, typer.Option(help="Recorded trades instead of candles: a CSV or zip a symbol.")
    ] = "",
    clock: Annotated[
        str, typer.Option("--time", help="tape, or now: moved by whole weeks, at speed 1.")
    ] = "tape",
    speed: Annotated[
        float | None, typer.Option(help="How many times as fast as life; 60 unless --time now.")
    ] = None,
    hold: Annotated[str, typer.Option(help="Least rest at each candle's open.")] = "50ms",
    pace: Annotated[str, typer.Option(help="time, or step: POST /admin/advance.")] = "time",
    seed: Annotated[int, typer.Option(help="Seed of generated identifiers.")] = 7,
    balance: Annotated[str, typer.Option(help="Balances of each account.")] = "USDT=10000",
    accounts: Annotated[int, typer.Option(help="How many accounts to make.")] = 1,
    fee_bps: Annotated[float, typer.Option(help="Commission, maker and taker.")] = 10.0,
    slippage_bps: Annotated[float, typer.Option(help="Half the standing spread.")] = 1.0,
    touch_fills: Annotated[
        bool, typer.Option(help="Fill limit orders at a touch, not only when traded through.")
    ] = False,
    share: Annotated[float, typer.Option(help="Percent of a print's volume for users.")] = 100.0,
    weight_limit: Annotated[int, typer.Option(help="Request weight a minute.")] = 6000,
    order_limit: Annotated[int, typer.Option(help="Unfilled orders in 10 s, an account.")] = 50,
    first_ban: Annotated[
        str, typer.Option(help="First ban; each next one lasts 5 times.")
    ] = "120s",
    socket_life: Annotated[str, typer.Option(help="How long a WebSocket may live.")] = "86400s",
    key_types: Annotated[
        str, typer.Option(help="HMAC, ED25519, RSA: dealt to the accounts in turn.")
    ] = "HMAC",
    permissions: Annotated[
        str, typer.Option(help="What keys may do beyond or below trading, NAME=true|false|.")
    ] = "",
    lenient: Annotated[bool, typer.Option(help="Let any key log on, not Ed25519 alone.")] = False,
    keys_file: Annotated[
        Path | None, typer.Option(help="Keys to use again; made (0600) where there is none.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder of keys and truth log: go on where it ended.")
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="Plan of faults and changes, TOML.")] = None,
    bnb_fees: Annotated[bool, typer.Option(help="Pay commissions in BNB, a quarter off.")] = False,
    conformance: Annotated[
        bool, typer.Option(help="Print which of Binance's operations are served, and end.")
    ] = False,
    ephemeral: Annotated[bool, typer.Option(help="Stop when standard input closes.")] = False,
) -> None:
    """Serve Binance spot on this machine: REST, streams and WebSocket API over recorded candles."""
    # Nothing here is worth compiling: tick and fee arithmetic run as plain Python, start-up is short.
    if "numba" not in sys.modules:
        os.environ["NUMBA_DISABLE_JIT"] = "1"
    import asyncio

    from bridge.local_exchange.accounts import parse_kinds
    from bridge.local_exchange.limits import ORDERS_1D, LimitRules
    from bridge.local_exchange.settings import (
        Pace,
        Settings,
        SocketRules,
        parse_balances,
        parse_hold,
        parse_permissions,
    )

    if conformance:
        from bridge.local_exchange.conformance import markdown

        print(markdown())
        return
    if pace not in set(Pace):
        raise UsageError(f"pace {pace!r}: must be time or step")
    if clock not in ("tape", "now"):
        raise UsageError(f"time {clock!r}: must be tape or now")
    settings = Settings(
        symbols=tuple(name.strip().upper() for name in symbols.split(",") if name.strip()),
        interval=interval,
        fine=fine,
        crowd=crowd,
        data=data,
        start=start,
        end=end,
        pace=Pace(pace),
        speed=speed if speed is not None else (1.0 if clock == "now" else 60.0),
        trades=tuple(Path(part) for part in trades.split(",") if part),
        of_now=clock == "now",
        hold_s=parse_hold(hold),
        seed=seed,
        fee_bps=fee_bps,
        slippage_bps=slippage_bps,
        touch_fills=touch_fills,
        share_bps=round(share * 100),
        balances=parse_balances(balance),
        accounts=accounts,
        limits=LimitRules(
            weight=weight_limit,
            orders_10s=order_limit,
            orders_1d=max(ORDERS_1D, order_limit),
            first_ban_ms=round(parse_hold(first_ban) * 1000),
        ),
        sockets=SocketRules(life_s=parse_hold(socket_life)),
        key_kinds=parse_kinds(key_types),
        bnb_fees=bnb_fees,
        lenient=lenient,
        permissions=parse_permissions(permissions),
        keys_file=keys_file,
        state=state,
        fault_plan=faults,
        port=port,
    )
    asyncio.run(_serve(settings, as_json=as_json, ephemeral=ephemeral))


async def _serve(settings: Settings, *, as_json: bool, ephemeral: bool) -> None:
    import asyncio

    gc.disable()  # until all that stays is there
    try:
        from bridge.local_exchange.server import serving
    finally:
        gc.enable()

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings) as running:
        gc.freeze()  # tapes and code stay for ever; looking through them again would cost a beat
        said = running.announcement()
        print(json.dumps(said) if as_json else _spoken(said), flush=True)
        if ephemeral:
            parent_gone = partial(loop.call_soon_threadsafe, stop.set)
            threading.Thread(target=_until_input_closes, args=[parent_gone], daemon=True).start()
        if running.player:
            running.player.add_done_callback(partial(_stop_if_failed, stop))
        await stop.wait()
        if running.player and running.player.done():
            running.player.result()


def _stop_if_failed(stop: Event, player: Task[None]) -> None:
    if not player.cancelled() and player.exception() is not None:
        stop.set()


def _until_input_closes(then: Callable[[], object]) -> None:
    # os.read, not sys.stdin: a daemon thread inside a buffered read would upset the exit.
    while os.read(0, 4096):
        pass
    then()


def _spoken(said: dict[str, Any]) -> str:
    market = said["market"]
    keys = "\n".join(
        f"  api key {one['api_key']}\n  secret  {one['secret']}" for one in said["accounts"]
    )
    how = f"x{market['speed']:g}" if market["pace"] == "time" else "POST /admin/advance"
    return (
        f"Local exchange at {said['rest']} and {said['ws']}, pace {market['pace']} ({how})\n"
        f"  {' '.join(market['symbols'])} {market['interval']}: {market['source']}\n"
        f"{keys}\n  admin token {said['admin_token']}\nCtrl-C stops it."
    )
