"""Configuration, parsed once into frozen objects; an unknown key is an error.

Venues: `local` (the embedded exchange, whose URL is given), `testnet` and `demo` (Binance's own
practice servers) and `mainnet`, which is refused until arming exists. No secret ever enters an
object of this file.
"""

from __future__ import annotations

import ipaddress
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bridge.home import checked_name
from workbench.errors import UsageError
from workbench.execution.exits import exits_of
from workbench.execution.guards import Guards
from workbench.market.instruments import to_e8
from workbench.market.timeframes import parse_timeframe

VenueName = Literal["local", "testnet", "demo", "mainnet"]


class Frozen(BaseModel):
    """A value that never changes and knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Venue(Frozen):
    """Where an account trades: three URLs, and how long an order may stay in doubt there."""

    name: VenueName
    rest: str
    stream: str
    ws_api: str
    # A server may still apply an order this long after it took the request in (Binance
    # documents 10 s).
    backend_timeout_ms: int = 10_000
    # Replays run in the past: there the tape's event times are the only "now" a candle can
    # be compared with.
    market_clock: Literal["wall", "tape"] = "wall"


class GatewayConfig(Frozen):
    """What a gateway is told beside its keys."""

    account: str
    venue: Venue
    ephemeral: bool = False


class StartRequest(Frozen):
    """The body of POST /v1/instances."""

    command_id: Annotated[str, Field(min_length=1, max_length=64)]
    name: str
    account: str
    strategy: Annotated[str, Field(min_length=1, max_length=64)]
    params: dict[str, int | float] = Field(default_factory=dict)
    symbol: Annotated[str, Field(min_length=1, max_length=32)]
    interval: str
    capital: Decimal
    # What to do with an entry whose candle is late: None takes the venue's rule (local:
    # take, elsewhere: skip).
    late_entry: Literal["skip", "take"] | None = None
    # Protective exits, spelled as for a backtest: "stop=2%,take_profit=3atr,time_stop=48".
    exits: Annotated[str, Field(max_length=200)] = ""
    # What may hold its buys back, spelled as for a backtest too: "daily_loss=5%,cooldown_bars=3".
    guards: Annotated[str, Field(max_length=200)] = ""

    @field_validator("name", "account")
    @classmethod
    def _name(cls, value: str) -> str:
        return _usage_as_value_error(lambda: checked_name(value, "instance or account"))

    @field_validator("symbol")
    @classmethod
    def _symbol(cls, value: str) -> str:
        if value != value.upper() or not value.isalnum():
            raise ValueError(
                f"symbol {value!r} must be upper-case letters and digits, e.g. 'BTCUSDT'"
            )
        return value

    @field_validator("interval")
    @classmethod
    def _interval(cls, value: str) -> str:
        return _usage_as_value_error(lambda: parse_timeframe(value).name)

    @field_validator("exits")
    @classmethod
    def _exits(cls, value: str) -> str:
        def checked() -> str:
            exits_of(value)
            return value

        return _usage_as_value_error(checked)

    @field_validator("guards")
    @classmethod
    def _guards(cls, value: str) -> str:
        def checked() -> str:
            Guards.of(value)
            return value

        return _usage_as_value_error(checked)

    @field_validator("capital")
    @classmethod
    def _capital(cls, value: Decimal) -> Decimal:
        if value <= 0 or to_e8(value) > 10**17:
            raise ValueError(
                f"capital {value} must be above 0 and at most 1000000000 in the quote asset"
            )
        return value


class StopRequest(Frozen):
    """The body of POST /v1/instances/NAME/stop."""

    command_id: Annotated[str, Field(min_length=1, max_length=64)]
    policy: Literal["flatten", "keep"] = "flatten"


def venue(name: str, urls: dict[str, str]) -> Venue:
    """Return a venue by name; `urls` holds what `--venue-url NAME=REST,WS` gave. Raises UsageError."""
    if name == "mainnet":
        raise UsageError(
            "mainnet cannot be traded yet: arming is not built; use testnet, demo or local"
        )
    if name in urls:
        return _redirected(name, urls[name])
    if name == "testnet":
        return Venue(
            name="testnet",
            rest="https://testnet.binance.vision/api",
            stream="wss://stream.testnet.binance.vision/",
            ws_api="wss://ws-api.testnet.binance.vision/ws-api/v3",
        )
    if name == "demo":
        return Venue(
            name="demo",
            rest="https://demo-api.binance.com/api",
            stream="wss://demo-stream.binance.com/",
            ws_api="wss://demo-ws-api.binance.com/ws-api/v3",
        )
    if name == "local":
        raise UsageError(
            "venue local has no address: start `bridge exchange` and pass "
            "`--venue-url local=http://127.0.0.1:P,ws://127.0.0.1:P`"
        )
    raise UsageError(f"unknown venue {name!r}; known: local, testnet, demo, mainnet")


def parse_venue_urls(options: list[str]) -> dict[str, str]:
    """Turn the `NAME=REST,WS` options into a table. Raises UsageError."""
    table: dict[str, str] = {}
    for option in options:
        name, equals, urls = option.partition("=")
        if not equals or urls.count(",") != 1:
            raise UsageError(
                f"--venue-url {option!r} must read NAME=REST,WS, e.g. local=http://127.0.0.1:9000,ws://127.0.0.1:9000"
            )
        _redirected(name, urls)
        table[name] = urls
    return table


def one_line(error: ValidationError) -> str:
    """Render pydantic's findings as one line that names each key, its value and the rule."""
    found = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"]) or "body"
        rule = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            rule = "is not a known key; remove it"
        elif item["type"] == "missing":
            rule = "is missing"
        found.append(f"{where}: {rule}")
    return "; ".join(found)


def _redirected(name: str, urls: str) -> Venue:
    if name != "local":
        raise UsageError(f"only venue local takes an address, not {name!r}; its servers are fixed")
    rest, _, ws = urls.partition(",")
    for url, schemes in ((rest, ("http", "https")), (ws, ("ws", "wss"))):
        parts = urlsplit(url)
        if parts.scheme not in schemes or not _is_loopback(parts.hostname):
            raise UsageError(
                f"venue local must be on loopback ({'/'.join(schemes)}://127.0.0.1:PORT), not {url!r}"
            )
    return Venue(
        name="local",
        rest=rest.rstrip("/") + "/api",
        stream=ws.rstrip("/") + "/",
        ws_api=ws.rstrip("/") + "/ws-api/v3",
        backend_timeout_ms=500,
        market_clock="tape",
    )


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _usage_as_value_error(check) -> str:  # type: ignore[no-untyped-def]
    try:
        return check()
    except UsageError as error:
        raise ValueError(str(error)) from None
