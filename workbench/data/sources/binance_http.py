"""Questions to a server that speaks Binance's REST API, and what to make of its answers.

What the server says about its limits is obeyed by all jobs together (`throttle`). Answers that time,
transport or load can explain are asked for again, a bounded number of times; an answer that is not
what was asked for (a page of HTML, half a JSON) is an error in one line.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from workbench.data.sources.address import is_loopback
from workbench.data.sources.patience import Patience
from workbench.data.sources.throttle import Throttle
from workbench.errors import ExchangeError, UsageError

_CALLERS_FAULT = {-1100: "symbol", -1121: "symbol", -1120: "interval"}


class Banned(ExchangeError):
    """The server wants to be left alone for longer than anyone waits here."""


@dataclass
class BinanceHttp:
    """One server; may be asked by several threads at once."""

    base_url: str
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.patience)
        self.host = urlsplit(self.base_url).netloc
        self._client = httpx.Client(
            base_url=self.base_url.rstrip("/"),
            timeout=self.patience.timeout_s,
            # a proxy of the environment has no business with loopback
            trust_env=not is_loopback(self.base_url),
            headers={"Accept": "application/json"},
        )

    def get(self, path: str, query: Mapping[str, str]) -> object:
        """Return the JSON of one answer; asks again where that can help.

        Raises UsageError where the server does not know what was asked for, ExchangeError where it
        does not answer as it should.
        """
        trouble, told_to_wait = "", False
        for attempt in range(self.patience.attempts):
            if attempt and not told_to_wait:
                self.patience.back_off(attempt)
            self.throttle.wait()
            told_to_wait = False
            try:
                answer = self._client.get(path, params=dict(query))
            except httpx.HTTPError as error:
                trouble = f"{type(error).__name__}: {error}".rstrip(": ")
                continue
            self.throttle.saw(answer.headers)
            if answer.status_code in (418, 429):
                trouble, told_to_wait = f"HTTP {answer.status_code}", True
                self._obey(answer)
                continue
            if answer.status_code >= 500:
                trouble = f"HTTP {answer.status_code}"
                continue
            return self._value(answer, query)
        raise ExchangeError(
            f"{self.host}{path}: gave up after {self.patience.attempts} attempts, the last: {trouble}; "
            "check the network and run the same command again, it goes on where it was"
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _obey(self, answer: httpx.Response) -> None:
        told = answer.headers.get("retry-after", "")
        wait = float(told) if told.isdecimal() else self.patience.longest_wait_s
        if wait > self.patience.longest_ban_s:
            raise Banned(
                f"{self.host} bans this address for {wait:.0f} s (HTTP {answer.status_code}); "
                "wait that long and run the same command again, it goes on where it was"
            )
        self.throttle.hold(wait)

    def _value(self, answer: httpx.Response, query: Mapping[str, str]) -> object:
        body = answer.text
        kind = answer.headers.get("content-type", "")
        try:
            value = json.loads(body)
        except ValueError:
            what = "HTML" if "html" in kind or body.lstrip()[:1] == "<" else "broken JSON"
            raise ExchangeError(
                f"{self.host} answered {what} ({len(body)} characters, HTTP {answer.status_code}) "
                "instead of candles; check --base-url and whether a proxy or login page is in the way"
            ) from None
        if answer.status_code == 200:
            return value
        if not isinstance(value, dict):
            value = {"msg": body}
        raise self._refusal(answer.status_code, value, query)

    def _refusal(
        self, status: int, said: Mapping[str, object], query: Mapping[str, str]
    ) -> UsageError | ExchangeError:
        code, message = said.get("code"), said.get("msg")
        at_fault = _CALLERS_FAULT.get(code) if isinstance(code, int) else None
        if at_fault not in query:
            return ExchangeError(f"{self.host} refused: HTTP {status}, {code}, {message}")
        value = query[str(at_fault)]
        if at_fault == "interval":
            return UsageError(f"{self.host} has no candles of {value}: {message} ({code})")
        return UsageError(
            f"{self.host} does not know the symbol {value!r} ({code}){_foreign(value)}; "
            "write it as the exchange does, like BTCUSDT"
        )


def _foreign(symbol: str) -> str:
    """Name the letters that look like others: a Cyrillic С in BTCUSDT cannot be seen."""
    strange = dict.fromkeys(letter for letter in symbol if not letter.isascii())
    if not strange:
        return ""
    named = ", ".join(f"{one!r} ({unicodedata.name(one, 'no name')})" for one in strange)
    return f", which holds {named}, not in ASCII"
