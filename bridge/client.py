"""BridgeClient: the control API from Python, for dashboards, notebooks, the CLI and tests. It holds no key.

Only the standard library is used, so that importing it costs a notebook nothing.
"""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from workbench.errors import ExchangeError, UsageError, WorkbenchError
from workbench.home import home_path

Json = dict[str, Any]


class BridgeError(WorkbenchError):
    """The supervisor refused; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BridgeClient:
    """Asks one supervisor."""

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise UsageError(
                f"{url!r} is not the address of a supervisor, e.g. http://127.0.0.1:8123"
            )
        self.url = url.rstrip("/")
        self._address = (parts.hostname, parts.port)
        self._token = token
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"BridgeClient({self.url!r})"

    @classmethod
    def from_home(cls, home: Path | None = None) -> BridgeClient:
        """Find the running supervisor by its file in WORKBENCH_HOME. Raises ExchangeError without one."""
        path = (home or home_path()) / "supervisor.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ExchangeError(
                f"no supervisor runs ({path} is missing); start `bridge serve`"
            ) from None
        return cls(told["url"], told["token"])

    def state(self) -> Json:
        """Return supervisor, accounts and instances."""
        return self._get("/v1/state")

    def instance(self, name: str) -> Json:
        """Return one instance. Raises UsageError when there is none of that name."""
        found = {one["name"]: one for one in self.state()["instances"]}
        if name not in found:
            raise UsageError(f"no instance {name!r}; known: {', '.join(found) or 'none'}")
        return found[name]

    def accounts(self) -> list[Json]:
        """Return all accounts."""
        return self._get("/v1/accounts")

    def strategies(self) -> list[Json]:
        """Return what a form needs of each strategy."""
        return self._get("/v1/strategies")

    def start_instance(
        self,
        name: str,
        *,
        account: str,
        strategy: str,
        symbol: str,
        interval: str,
        capital: float | str,
        params: Mapping[str, float] | None = None,
        late_entry: str | None = None,
        exits: str = "",
        guards: str = "",
        command_id: str | None = None,
    ) -> Json:
        """Start an instance; the same command_id twice starts one."""
        body = {
            "command_id": command_id or secrets.token_hex(16),
            "name": name,
            "account": account,
            "strategy": strategy,
            "params": dict(params or {}),
            "symbol": symbol,
            "interval": interval,
            "capital": str(capital),
        }
        if late_entry is not None:
            body["late_entry"] = late_entry
        if exits:
            body["exits"] = exits
        if guards:
            body["guards"] = guards
        return self._post("/v1/instances", body)

    def stop_instance(
        self, name: str, *, policy: str = "flatten", command_id: str | None = None
    ) -> Json:
        """Stop an instance: `flatten` sells what it holds, `keep` does not."""
        body = {"command_id": command_id or secrets.token_hex(16), "policy": policy}
        return self._post(f"/v1/instances/{quote(name, safe='')}/stop", body)

    def candles(self, name: str, *, limit: int = 500, after: int | None = None) -> list[Json]:
        """Return closed candles, oldest first."""
        return self._page(name, "candles", limit=limit, after=after)

    def fills(self, name: str, *, after: int = 0) -> list[Json]:
        """Return executions with seq above `after`."""
        return self._page(name, "fills", after=after)

    def decisions(self, name: str, *, after: int = 0) -> list[Json]:
        """Return decisions with seq above `after`."""
        return self._page(name, "decisions", after=after)

    def settled(
        self, name: str, candle_ms: int, *, fills: int = 0, timeout_s: float = 10.0
    ) -> Json:
        """Return the instance once it has decided on that candle and its orders are settled, or at the timeout.

        At least so many `fills` must be booked and answered, for whom knows that the market made them.
        """
        query = urlencode({"candle_ms": candle_ms, "timeout_s": timeout_s, "fills": fills})
        return self._get(f"/v1/instances/{quote(name, safe='')}/settled?{query}")

    def wait_until(self, name: str, states: set[str], *, timeout_s: float = 60.0) -> Json:
        """Return the instance once it is in one of these states. Raises ExchangeError at the timeout."""
        end = time.monotonic() + timeout_s
        while True:
            now = self.instance(name)
            if now["state"] in states:
                return now
            if time.monotonic() > end:
                raise ExchangeError(
                    f"instance {name!r} is {now['state']} ({now['reason'] or 'no reason given'}), "
                    f"not {' or '.join(sorted(states))}, after {timeout_s:g} s"
                )
            time.sleep(0.1)

    def events(self, after: int = 0) -> Iterator[Json]:
        """Yield events with seq above `after` for ever, as they happen."""
        connection = self._connection()
        try:
            connection.request("GET", f"/v1/events?after={after}", headers=self._headers())
            response = connection.getresponse()
            self._demand_ok(response.status, b"" if response.status == 200 else response.read())
            while line := response.readline():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            connection.close()

    def _page(self, name: str, what: str, **query: int | None) -> list[Json]:
        asked = urlencode({key: value for key, value in query.items() if value is not None})
        return self._get(f"/v1/instances/{quote(name, safe='')}/{what}?{asked}")

    def _get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def _post(self, path: str, body: Json) -> Any:
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        connection = self._connection()
        try:
            connection.request(method, path, body=body, headers=self._headers())
            response = connection.getresponse()
            data = response.read()
        except OSError as error:
            raise ExchangeError(
                f"the supervisor at {self.url} does not answer ({type(error).__name__}); start `bridge serve`"
            ) from None
        finally:
            connection.close()
        self._demand_ok(response.status, data)
        return json.loads(data)

    def _demand_ok(self, status: int, data: bytes) -> None:
        if status < 300:
            return
        try:
            message = json.loads(data)["error"]
        except (ValueError, KeyError, TypeError):
            message = f"the supervisor answered HTTP {status}"
        raise BridgeError(status, message)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._address, timeout=self._timeout)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
