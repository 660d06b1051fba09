"""What `bridge exchange` was told: parsed once, frozen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bridge.local_exchange.accounts import KeyKind
from bridge.local_exchange.limits import LimitRules
from workbench.errors import UsageError
from workbench.market.instruments import to_e8

BACKLOG = 1_000  # candles of history that a replay without --start leaves before its first


class Pace(StrEnum):
    """Who moves the market: the clock, or POST /admin/advance."""

    TIME = "time"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class SocketRules:
    """What Binance allows a WebSocket client; times in seconds of the wall."""

    life_s: float = 86_400.0
    ping_s: float = 20.0
    pong_s: float = 60.0
    messages_a_second: int = 5
    streams: int = 1024


Permissions = tuple[tuple[str, bool], ...]
TRADE_ONLY: Permissions = (
    ("ipRestrict", True),
    ("enableReading", True),
    ("enableWithdrawals", False),
    ("enableInternalTransfer", False),
    ("enableMargin", False),
    ("enableFutures", False),
    ("permitsUniversalTransfer", False),
    ("enableVanillaOptions", False),
    ("enableFixApiTrade", False),
    ("enableFixReadOnly", False),
    ("enableSpotAndMarginTrading", True),
    ("enablePortfolioMarginTrading", False),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration of one local exchange."""

    symbols: tuple[str, ...] = ("BTCUSDT",)
    interval: str = "1m"
    data: str = "auto"
    fine: str | None = None  # a finer interval, drawn inside the candles
    crowd: int = 0  # so many made-up symbols instead of `symbols`
    trades: tuple[Path, ...] = ()  # recorded trades, a file a symbol, instead of candles
    of_now: bool = False  # times shifted by whole weeks, so that the replay is now
    start: str | None = None
    end: str | None = None
    pace: Pace = Pace.TIME
    speed: float = 60.0
    hold_s: float = 0.05
    seed: int = 7
    fee_bps: float = 10.0
    slippage_bps: float = 1.0
    touch_fills: bool = False  # a limit order fills at a touch, not only when traded through
    share_bps: int = 10_000  # how much of a print's volume users can get
    balances: tuple[tuple[str, int], ...] = field(default=(("USDT", to_e8("10000")),))
    accounts: int = 1
    key_kinds: tuple[KeyKind, ...] = (KeyKind.HMAC,)
    limits: LimitRules = field(default_factory=LimitRules)
    bnb_fees: bool = False  # commissions are paid in BNB where there is enough
    lenient: bool = False  # session.logon with any key
    keys_file: Path | None = None
    permissions: Permissions = TRADE_ONLY
    state: Path | None = None
    fault_plan: Path | None = None
    port: int = 0
    sockets: SocketRules = field(default_factory=SocketRules)

    @property
    def cuts_gaps(self) -> bool:
        """Whether a gap that all symbols have in common takes no time."""
        return not (self.trades or self.of_now)

    def __post_init__(self) -> None:
        if not self.symbols:
            raise UsageError("no symbol to trade; pass --symbols BTCUSDT")
        if self.trades and len(self.trades) != len(self.symbols):
            raise UsageError(
                f"{len(self.trades)} files of trades for {len(self.symbols)} symbols; pass one a symbol"
            )
        if self.of_now and (self.speed != 1 or self.pace is Pace.STEP):
            raise UsageError("--time now runs as fast as life; leave --speed and --pace step out")
        if not 0 < self.speed < math.inf:
            raise UsageError(
                f"speed {self.speed}: must be above 0 and finite; 60 plays an hour in a minute"
            )
        if not 0 <= self.port <= 65_535:
            raise UsageError(f"port {self.port}: must lie in 0..65535; 0 takes a free one")
        if self.hold_s < 0:
            raise UsageError(f"hold {self.hold_s} s: must not be negative; pass e.g. --hold 50ms")
        for name, bps in (("fee", self.fee_bps), ("slippage", self.slippage_bps)):
            if not 0 <= bps < 10_000:
                raise UsageError(f"{name} of {bps} bps: must lie in 0..9999; 10 is Binance's fee")
        if not 0 < self.share_bps <= 10_000:
            raise UsageError(f"share of {self.share_bps / 100} %: must lie above 0, at most 100")
        if self.accounts < 1:
            raise UsageError(f"{self.accounts} accounts: must be at least 1")


def parse_balances(text: str) -> tuple[tuple[str, int], ...]:
    """Return "USDT=10000,BTC=0.1" as (asset, amount at 1e-8) pairs; UsageError for anything else."""
    found = []
    for part in text.split(","):
        asset, equals, amount = part.strip().partition("=")
        try:
            amount_e8 = to_e8(amount)
        except ValueError as error:
            raise UsageError(f"balance {part!r}: {error}; write USDT=10000,BTC=0.1") from None
        if not equals or not asset.isalnum() or amount_e8 < 0:
            raise UsageError(f"balance {part!r}: write ASSET=AMOUNT, e.g. USDT=10000,BTC=0.1")
        found.append((asset.upper(), amount_e8))
    return tuple(found)


def parse_permissions(text: str) -> Permissions:
    """Return a trade-only key's permissions with changes like "enableWithdrawals=true,ipRestrict=".

    A name without a value is left out of the answer; UsageError for an unknown name.
    """
    found: dict[str, bool] = dict(TRADE_ONLY)
    for part in filter(None, text.split(",")):
        name, _, value = part.strip().partition("=")
        if name not in dict(TRADE_ONLY) or value not in ("true", "false", ""):
            known = " ".join(name for name, _ in TRADE_ONLY)
            raise UsageError(
                f"permission {part!r}: write NAME=true, =false or =; there are {known}"
            )
        if value:
            found[name] = value == "true"
        else:
            found.pop(name, None)
    return tuple(found.items())


def parse_hold(text: str) -> float:
    """Return "50ms" or "0.05s" in seconds; UsageError for anything else."""
    for unit, seconds in (("ms", 0.001), ("s", 1.0)):
        number = text.strip().removesuffix(unit)
        if text.strip().endswith(unit) and number.replace(".", "", 1).isdigit():
            return float(number) * seconds
    raise UsageError(f"hold {text!r}: write a time like 50ms or 0.2s")
