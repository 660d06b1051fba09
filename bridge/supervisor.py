"""The supervisor: one keeper an account, and what the control API asks of all of them together.

It holds the unlocked vault and hands keys to gateways by pipe; it trades nothing itself. After
its own restart it finds the living gateways by their sockets; a vault that stays locked only
means that dead ones cannot be started.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from importlib.metadata import version
from typing import Any

from bridge.clock import Clock
from bridge.config import StartRequest, Venue, venue
from bridge.gateway_link import Reply, Unreachable
from bridge.home import home
from bridge.keeper import Keeper
from bridge.vault import Vault
from workbench.errors import UsageError, WorkbenchError

LOOK_AT_VAULT_EVERY = 3.0
# With a locked vault no gateway is started, so nobody asks where it would trade.
NOWHERE = Venue(name="local", rest="", stream="", ws_api="")


class Supervisor:
    """Everything behind the control API."""

    def __init__(
        self, vault: Vault | None, venue_urls: dict[str, str], *, ephemeral: bool, clock: Clock
    ) -> None:
        self._vault = vault
        self._venue_urls = venue_urls
        self._ephemeral = ephemeral
        self._clock = clock
        self._started_ms = clock.wall_ms()
        self._keepers: dict[str, Keeper] = {}
        self._refused: list[dict[str, Any]] = []
        self._strategies: asyncio.Task[list[dict[str, Any]]] | None = None
        self._described_ns = 0

    async def run(self) -> None:
        """Keep all gateways alive, for ever; a key that is added to the vault gets one within seconds."""
        async with asyncio.TaskGroup() as group:
            while True:
                for keeper in self._new_keepers():
                    group.create_task(keeper.keep())
                await self._clock.sleep(LOOK_AT_VAULT_EVERY)
                self._describe()  # late, so that it does not slow down the gateways' start

    async def end(self) -> None:
        """End the gateways, where their lifetime is bound to this process."""
        if self._ephemeral:
            await asyncio.gather(*(keeper.end() for keeper in self._keepers.values()))

    async def state(self) -> dict[str, Any]:
        """Return what GET /v1/state tells."""
        views = await asyncio.gather(*(keeper.view() for keeper in self._keepers.values()))
        return {
            "supervisor": {
                "pid": os.getpid(),
                "version": version("quant-workbench"),
                "started_ms": self._started_ms,
                "locked": self._vault is None,
            },
            "accounts": [*(account for account, _ in views), *self._refused],
            "instances": [one for _, instances in views for one in instances],
        }

    async def strategies(self) -> list[dict[str, Any]]:
        """Return the forms of all strategies; a process of its own imports them."""
        try:
            return await asyncio.shield(self._describe())
        except WorkbenchError:
            self._strategies = None
            raise

    async def start(self, request: StartRequest, body: dict[str, Any]) -> Reply:
        """Start an instance on its account's gateway."""
        keeper = self._keepers.get(request.account)
        if keeper is None:
            refused = {one["name"]: one["alarms"][0] for one in self._refused}
            known = ", ".join(self._keepers) or "none; add one with `bridge keys add`"
            message = refused.get(
                request.account, f"no account {request.account!r}; known: {known}"
            )
            return Reply(422, {"error": message})
        for other in (await self.state())["instances"]:
            if other["name"] == request.name and other["account"] != request.account:
                return Reply(
                    409, {"error": f"account {other['account']} has an instance {request.name!r}"}
                )
        return await keeper.link.ask("start", body)

    async def stop(self, name: str, body: dict[str, Any]) -> Reply:
        """Stop an instance."""
        keeper = await self._keeper_of(name)
        return await keeper.link.ask("stop", {"name": name, "body": body})

    async def settled(self, name: str, candle_ms: int, timeout_s: float, fills: int) -> Reply:
        """Return an instance once it has settled a candle, and so many fills."""
        keeper = await self._keeper_of(name)
        params = {"name": name, "candle_ms": candle_ms, "timeout_s": timeout_s, "fills": fills}
        return await keeper.link.ask("settled", params)

    async def page(self, name: str, what: str, after: int | None, limit: int) -> Any:
        """Return candles, fills or decisions; from disk while the gateway is dead."""
        keeper = await self._keeper_of(name)
        params = {"name": name, "what": what, "after": after, "limit": limit}
        try:
            reply = await keeper.link.ask("page", params)
        except Unreachable:
            return keeper.link.page_on_disk(name, what, after, limit)
        if reply.status != 200:
            raise UsageError(reply.body["error"])
        return reply.body

    def event_sources(self, after: int) -> list[AsyncIterator[dict[str, Any]]]:
        """Return one endless stream of events an account."""
        return [keeper.link.events(after) for keeper in self._keepers.values()]

    async def _keeper_of(self, name: str) -> Keeper:
        for keeper in self._keepers.values():
            if name in keeper.names:
                return keeper
        names = [one["name"] for one in (await self.state())["instances"]]
        for keeper in self._keepers.values():
            if name in keeper.names:
                return keeper
        raise UsageError(f"no instance {name!r}; known: {', '.join(names) or 'none'}")

    def _describe(self) -> asyncio.Task[list[dict[str, Any]]]:
        kept = _last_kept_ns()
        if self._strategies is None or kept != self._described_ns:
            self._described_ns = kept
            self._strategies = asyncio.create_task(_describe_strategies())
        return self._strategies

    def _new_keepers(self) -> list[Keeper]:
        """Return keepers for keys of the vault, or, locked, for accounts with a journal, that are new."""
        known = {*self._keepers, *(one["name"] for one in self._refused)}
        if self._vault is None:
            journals = sorted((home() / "accounts").glob("*/journal.db"))
            found = [(path.parent.name, "local") for path in journals]
        else:
            found = [(entry.name, entry.venue) for entry in self._vault.names()]
        for account, venue_name in found:
            if account not in known:
                self._add(account, venue_name)
        return [keeper for name, keeper in self._keepers.items() if name not in known]

    def _add(self, account: str, venue_name: str) -> None:
        try:
            where = NOWHERE if self._vault is None else venue(venue_name, self._venue_urls)
        except UsageError as error:
            self._refused.append(
                {
                    "name": account,
                    "venue": venue_name,
                    "state": "REFUSED",
                    "gateway_pid": None,
                    "balances": {},
                    "alarms": [str(error)],
                }
            )
            return
        secret = None if self._vault is None else partial(self._vault.secret, account)
        self._keepers[account] = Keeper(
            account, where, credentials=secret, ephemeral=self._ephemeral, clock=self._clock
        )


def _last_kept_ns() -> int:
    """Return when a strategy of the user's own was last kept, 0 for never."""
    try:
        return (home() / "strategies").stat().st_mtime_ns
    except OSError:
        return 0


async def _describe_strategies() -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge.runner",
        "describe",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise WorkbenchError(
            "the strategies cannot be imported; see `python -m bridge.runner describe`"
        )
    described: list[dict[str, Any]] = json.loads(output)
    return described
