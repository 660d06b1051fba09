"""Whole files over HTTP: tried again where that can help, None where there is no such file."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from workbench.data.sources.address import is_loopback
from workbench.data.sources.patience import Patience
from workbench.errors import ExchangeError

_LARGEST_BYTES = 256 << 20


@dataclass(slots=True)
class Downloads:
    """Files below a base URL, over one connection that is opened when it is first needed."""

    base_url: str
    patience: Patience
    _http: httpx.Client | None = None

    def get(self, path: str) -> bytes | None:
        """Return the bytes of a file, None for 404; ExchangeError where the server fails."""
        return self._ask("GET", path)

    def exists(self, path: str) -> bool:
        """Return whether there is such a file."""
        return self._ask("HEAD", path) is not None

    def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _ask(self, method: str, path: str) -> bytes | None:
        trouble, host = "", urlsplit(self.base_url).netloc
        for attempt in range(self.patience.attempts):
            if attempt:
                self.patience.back_off(attempt)
            try:
                with self._client().stream(method, path) as answer:
                    if answer.status_code == 200:
                        return self._body(answer, path)
                    if answer.status_code == 404:
                        return None
                    trouble = f"HTTP {answer.status_code}"
                    if answer.status_code in (418, 429):
                        self._obey(answer, host)
                    elif answer.status_code < 500:
                        break
            except httpx.HTTPError as error:
                trouble = f"{type(error).__name__}: {error}".rstrip(": ")
        raise ExchangeError(
            f"{host}{path}: no file after {self.patience.attempts} attempts, the last: {trouble}; "
            "check the network and run the same command again, it goes on where it was"
        )

    def _body(self, answer: httpx.Response, path: str) -> bytes:
        pieces, size = [], 0
        for piece in answer.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > _LARGEST_BYTES:
                raise ExchangeError(f"{path} is larger than {_LARGEST_BYTES:,} bytes; refused")
        return b"".join(pieces)

    def _obey(self, answer: httpx.Response, host: str) -> None:
        told = answer.headers.get("retry-after", "")
        wait = float(told) if told.isdecimal() else self.patience.longest_wait_s
        if wait > self.patience.longest_ban_s:
            raise ExchangeError(
                f"{host} wants {wait:.0f} s of peace (HTTP {answer.status_code}); wait that long and "
                "run the same command again, it goes on where it was"
            )
        self.patience.sleep(wait)

    def _client(self) -> httpx.Client:
        if self._http is None:
            self._http = httpx.Client(
                base_url=self.base_url.rstrip("/"),
                timeout=self.patience.timeout_s,
                trust_env=not is_loopback(self.base_url),  # loopback needs no proxy
                follow_redirects=False,
            )
        return self._http
