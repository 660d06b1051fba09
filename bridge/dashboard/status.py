"""The top bar: accounts and balances, the link to the bridge, and messages nobody may miss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypedDict

import anywidget
import traitlets

from bridge.dashboard.static_files import script, style_sheet
from bridge.dashboard.wording import amount, quantity

CASH = ("USDT", "USDC", "FDUSD", "EUR")
VENUE_TONES = {"local": "accent", "testnet": "warn", "demo": "warn", "mainnet": "down"}


class Account(TypedDict):
    """One account as GET /v1/state describes it; balances are decimal text."""

    name: str
    venue: str
    state: str
    balances: Mapping[str, str]
    alarms: Sequence[object]


class StatusBar(anywidget.AnyWidget):
    """What the page says of itself; its view tells the kernel that somebody is looking."""

    _esm: ClassVar[str] = script("status.js")
    _css: ClassVar[str] = style_sheet()

    title = traitlets.Unicode("Bridge").tag(sync=True)
    link = traitlets.Enum(("connecting", "live", "lost"), "connecting").tag(sync=True)
    words = traitlets.Unicode("connecting…").tag(sync=True)
    accounts = traitlets.List(traitlets.Dict()).tag(sync=True)
    messages = traitlets.List(traitlets.Dict()).tag(sync=True)
    beat = traitlets.Int(0).tag(sync=True)

    def on_seen(self, act: Callable[[], None]) -> None:
        """Call `act()` when a view opens, and every few seconds while one is open."""

        def heard(_widget: object, content: Mapping[str, str], _buffers: object) -> None:
            if content.get("kind") == "here":
                act()

        self.on_msg(heard)

    def show(self, accounts: Sequence[Account], *, locked: bool, problem: str) -> None:
        """Show the accounts, their alarms, and what went wrong last, if anything did."""
        said = [{"tone": "down", "text": problem}] if problem else []
        if locked:
            said.append(
                {
                    "tone": "warn",
                    "text": "The supervisor is locked; unlock it with `bridge unlock`.",
                }
            )
        for one in accounts:
            said += [{"tone": "warn", "text": f"{one['name']}: {_words(a)}"} for a in one["alarms"]]
            if one["state"] not in ("RUNNING", "running", "ok", "READY"):
                said.append({"tone": "warn", "text": f"account {one['name']} is {one['state']}"})
        self.messages = said
        self.accounts = [account_of(one) for one in accounts]


def account_of(one: Account) -> dict[str, str]:
    """Return what the top bar shows of an account."""
    owned = sorted(one["balances"].items(), key=lambda held: (held[0] not in CASH, held[0]))
    held = [
        f"{amount(float(text)) if asset in CASH else quantity(float(text))} {asset}"
        for asset, text in owned
        if float(text)
    ]
    return {
        "name": one["name"],
        "venue": one["venue"],
        "tone": VENUE_TONES.get(one["venue"], ""),
        "balances": " · ".join(held[:3]),
    }


def _words(alarm: object) -> str:
    if isinstance(alarm, Mapping):
        for key in ("message", "text", "reason", "kind"):
            if key in alarm:
                return str(alarm[key])
    return str(alarm)
