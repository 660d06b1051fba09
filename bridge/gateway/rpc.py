"""The gateway's door for the supervisor: one JSON line in, one JSON line out, on a Unix socket (0600)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.config import StartRequest, StopRequest, one_line
from bridge.gateway import view
from bridge.gateway.service import Conflict, Service
from workbench.errors import ExchangeError, UsageError, WorkbenchError

LONGEST_LINE = 1 << 20
Answer = dict[str, Any]


class Door:
    """Answers the supervisor's questions about one account."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def open(self, path: Path) -> asyncio.Server:
        """Listen on the socket, replacing a dead one."""
        path.unlink(missing_ok=True)
        old = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._serve, str(path), limit=LONGEST_LINE)
        finally:
            os.umask(old)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = await self._answer(json.loads(line))
                writer.write(json.dumps(answer, allow_nan=False).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, question: Mapping[str, Any]) -> Answer:
        method, params = str(question["method"]), question.get("params", {})
        try:
            return await self._do(method, params)
        except Conflict as error:
            return {"status": 409, "error": str(error)}
        except ValidationError as error:
            return {"status": 422, "error": one_line(error)}
        except UsageError as error:
            return {"status": 404 if method == "page" else 422, "error": str(error)}
        except ExchangeError as error:
            return {"status": 503, "error": str(error)}
        except WorkbenchError as error:
            return {"status": 422, "error": str(error)}

    async def _do(self, method: str, params: Mapping[str, Any]) -> Answer:
        service = self._service
        if method == "state":
            return _ok({"account": service.account_view(), "instances": service.instance_views()})
        if method == "start":
            return _stored(*await service.start(StartRequest.model_validate(params)))
        if method == "stop":
            wish = StopRequest.model_validate(params["body"])
            return _stored(*await service.stop(params["name"], wish))
        if method == "settled":
            name, timeout = params["name"], min(float(params["timeout_s"]), 30.0)
            candle_ms, fills = int(params["candle_ms"]), int(params["fills"])
            return _ok(await service.settled(name, candle_ms, timeout, fills=fills))
        if method == "page":
            return _ok(self._page(params))
        if method == "events":
            after = int(params["after"])
            await service.wait_for_event(after, min(float(params["wait_s"]), 30.0))
            events = service.books.journal.events(after=after)
            return _ok([view.event(service.config.account, one) for one in events])
        raise UsageError(f"unknown method {method!r}")

    def _page(self, params: Mapping[str, Any]) -> list[view.View]:
        name, journal = params["name"], self._service.books.journal
        if all(row.name != name for row in journal.instances()):
            raise UsageError(f"no instance {name!r} on account {self._service.config.account}")
        return view.page(journal, name, params["what"], params["after"], int(params["limit"]))


def _ok(value: Any) -> Answer:
    return {"status": 200, "body": value}


def _stored(status: int, text: str) -> Answer:
    return {"status": status, "body": json.loads(text)}
