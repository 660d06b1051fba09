"""The supervisor's end of a gateway: questions over its Unix socket, and its journal when it is dead."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.gateway import view
from bridge.home import gateway_socket, journal_path
from bridge.journal_reader import JournalReader
from workbench.errors import DataError, ExchangeError

ANSWER_TIMEOUT = 45.0
LONGEST_LINE = 1 << 24


class Unreachable(ExchangeError):
    """The account's gateway does not answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A gateway's answer: HTTP status, and the body or `{"error": ...}`."""

    status: int
    body: Any


class GatewayLink:
    """Speaks with the gateway of one account."""

    def __init__(self, account: str, venue: str) -> None:
        self.account = account
        self.venue = venue

    async def ask(self, method: str, params: Mapping[str, Any] | None = None) -> Reply:
        """Ask one question. Raises Unreachable."""
        question = json.dumps({"method": method, "params": dict(params or {})})
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                reader, writer = await self._connect()
                try:
                    writer.write(question.encode() + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            line = b""
        if not line.endswith(b"\n"):
            raise Unreachable(
                f"the gateway of account {self.account} does not answer; it is being restarted"
            )
        answer = json.loads(line)
        if "error" in answer:
            return Reply(answer["status"], {"error": answer["error"]})
        return Reply(answer["status"], answer["body"])

    async def answers(self) -> bool:
        """Tell whether a gateway listens."""
        try:
            _, writer = await self._connect()
        except OSError:
            return False
        writer.close()
        return True

    async def until_gone(self) -> None:
        """Return when the gateway has died: its end of an idle connection closes."""
        with contextlib.suppress(OSError):
            reader, writer = await self._connect()
            try:
                await reader.read(1)
            finally:
                writer.close()

    def instances_on_disk(self) -> list[view.View]:
        """Return the instances as the journal knows them, for the time that nobody answers."""
        with self._journal() as journal:
            if journal is None:
                return []
            return [view.unreachable(self.account, self.venue, row) for row in journal.instances()]

    def page_on_disk(self, name: str, what: str, after: int | None, limit: int) -> list[view.View]:
        """Return candles, fills or decisions from the journal."""
        with self._journal() as journal:
            return [] if journal is None else view.page(journal, name, what, after, limit)

    async def events(self, after: int) -> AsyncIterator[view.View]:
        """Yield the journal's events above `after` for ever; a dead gateway only means silence."""
        while True:
            try:
                reply = await self.ask("events", {"after": after, "wait_s": 15.0})
            except Unreachable:
                await asyncio.sleep(0.5)
                continue
            for event in reply.body if reply.status == 200 else ():
                after = max(after, int(event["seq"]))
                yield event

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        path = str(gateway_socket(self.account))
        return await asyncio.open_unix_connection(path, limit=LONGEST_LINE)

    @contextlib.contextmanager
    def _journal(self) -> Any:
        try:
            journal = JournalReader.open_read_only(journal_path(self.account))
        except DataError:
            yield None
            return
        try:
            yield journal
        finally:
            journal.close()
