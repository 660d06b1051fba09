"""What the dashboard needs of the control API's client, and how it finds the bridge.

The bridge may restart on another port with another token: a lost client is thrown away and the next
one reads the address anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol, TypedDict, cast

from bridge.dashboard.fills import Fill
from bridge.dashboard.instances import Instance
from bridge.dashboard.start_form import StrategySpec
from bridge.dashboard.status import Account


class Supervisor(TypedDict):
    """The supervisor's part of GET /v1/state."""

    pid: int
    version: str
    started_ms: int
    locked: bool


class State(TypedDict):
    """GET /v1/state."""

    supervisor: Supervisor
    accounts: list[Account]
    instances: list[Instance]


class ControlClient(Protocol):
    """The blocking calls that the dashboard makes, each in a thread of its own."""

    def state(self) -> State:
        """Return accounts and instances."""

    def strategies(self) -> list[StrategySpec]:
        """Return the strategies with their parameters."""

    def start_instance(
        self,
        name: str,
        *,
        account: str,
        strategy: str,
        params: Mapping[str, int | float],
        symbol: str,
        interval: str,
        capital: float,
        exits: str,
        guards: str,
        command_id: str,
    ) -> Instance:
        """Start an instance; the same command id never starts a second one."""

    def stop_instance(self, name: str, *, policy: str, command_id: str) -> object:
        """Stop an instance and sell (flatten) or keep what it holds."""

    def candles(
        self, name: str, *, limit: int = ..., after: int | None = ...
    ) -> list[dict[str, float]]:
        """Return the closed candles that an instance has seen, oldest first."""

    def fills(self, name: str, *, after: int = ...) -> list[Fill]:
        """Return the fills of an instance after a sequence number, oldest first."""


def connect_from_environment() -> ControlClient:
    """Return a client for WORKBENCH_BRIDGE_URL, or for the supervisor that WORKBENCH_HOME names."""
    from bridge.client import BridgeClient

    url, token = (os.environ.get(f"WORKBENCH_BRIDGE_{part}", "") for part in ("URL", "TOKEN"))
    client = BridgeClient(url, token) if url else BridgeClient.from_home()
    return cast("ControlClient", client)  # its JSON is what the TypedDicts here describe
