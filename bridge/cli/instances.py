"""`bridge start`, `bridge stop`, `bridge status`: the control API from the shell."""

from __future__ import annotations

import json as json_text
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bridge.client import BridgeClient
from workbench.errors import UsageError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def start(
    name: Annotated[str, typer.Argument(help="The instance's name.")],
    account: Annotated[str, typer.Option(help="Account of the vault to trade with.")],
    strategy: Annotated[
        str, typer.Option(help="Strategy, e.g. macd, or a file of your own, path/to/name.py.")
    ],
    symbol: Annotated[str, typer.Option(help="Symbol, e.g. BTCUSDT.")],
    interval: Annotated[str, typer.Option(help="Candle interval, e.g. 1h.")],
    capital: Annotated[str, typer.Option(help="Budget in the quote asset.")],
    params: Annotated[str, typer.Option(help="Parameters: fast=12,slow=26,signal=9.")] = "",
    late_entry: Annotated[
        str | None, typer.Option(help="skip or take entries on late candles.")
    ] = None,
    exits: Annotated[
        str, typer.Option(help="Protective exits: stop=2%,take_profit=3atr,trail=5%,time_stop=48.")
    ] = "",
    guards: Annotated[
        str, typer.Option(help="What holds its buys back: daily_loss=5%,cooldown_bars=3.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Start an instance of a strategy."""
    if strategy.endswith(".py"):
        from workbench import strategies

        strategy = strategies.load(strategy).name  # checked, and kept where the runner finds it
    made = BridgeClient.from_home().start_instance(
        name,
        account=account,
        strategy=strategy,
        symbol=symbol,
        interval=interval,
        capital=capital,
        params=parse_params(params),
        late_entry=late_entry,
        exits=exits,
        guards=guards,
    )
    _show(made, as_json=json)


def stop(
    name: Annotated[str, typer.Argument(help="The instance's name.")],
    policy: Annotated[
        str, typer.Option(help="flatten sells what it holds, keep does not.")
    ] = "flatten",
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the end; 0 returns at once.")
    ] = 30.0,
    json: AsJson = False,
) -> None:
    """Stop an instance."""
    client = BridgeClient.from_home()
    told = client.stop_instance(name, policy=policy)
    if wait > 0:
        told = client.wait_until(name, {"STOPPED", "FAULTED"}, timeout_s=wait)
    _show(told, as_json=json)


def status(json: AsJson = False) -> None:
    """Show accounts and instances."""
    state = BridgeClient.from_home().state()
    if json:
        print(json_text.dumps(state))
        return
    for account in state["accounts"]:
        holdings = ", ".join(f"{amount} {asset}" for asset, amount in account["balances"].items())
        print(
            f"account {account['name']} on {account['venue']}: {account['state']}; {holdings or 'no balances'}"
        )
        for alarm in account["alarms"]:
            print(f"  alarm: {alarm}")
    for one in state["instances"]:
        _show(one, as_json=False)


def parse_params(text: str) -> dict[str, float]:
    """Read `fast=12,slow=26`. Raises UsageError for anything else."""
    params: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        try:
            params[name.strip()] = float(value) if "." in value or "e" in value else int(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(
                f"--params {text!r}: {part!r} is not NAME=NUMBER, e.g. fast=12,slow=26"
            )
    return params


def _show(one: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json_text.dumps(one))
        return
    pnl = "unknown" if one["pnl"] is None else f"{one['pnl']:+.2f} ({one['pnl_pct']:+.2f} %)"
    print(
        f"{one['name']}: {one['state']} {one['strategy']} {one['symbol']} {one['interval']}, "
        f"{one['bars']} candles, profit {pnl}{'; ' + one['reason'] if one['reason'] else ''}"
    )
    if one["guards"]:
        print(f"  guards {one['guards']}: {_told_of_guards(one)}")
    if one.get("unprotected"):
        print(f"  UNPROTECTED: {one['unprotected']}")
    if one.get("exposed_if_down"):
        print(
            f"  UNPROTECTED IF DOWN: resting buys may spend {one['exposed_if_down']:.2f} without a stop"
        )


def _told_of_guards(one: dict[str, Any]) -> str:
    last = one["last_guarded"]
    if one["guarded"] is None:
        return "what they refused is not known while the gateway is away"
    if last is None:
        return "no buy refused"
    candle = datetime.fromtimestamp(last["open_time_ms"] / 1000, UTC)
    return f"buys refused: {one['guarded']}, the last on the candle of {candle:%Y-%m-%d %H:%M} UTC: {last['note']}"
