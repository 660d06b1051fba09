"""The address of a source: which are allowed, and whose candles lie behind one."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from workbench.errors import UsageError

_MAINNET = re.compile(r"api(-gcp|\d)?\.binance\.com|data(-api)?\.binance\.vision")
_VENUES = {"testnet.binance.vision": "testnet", "demo-api.binance.com": "demo"}


def refuse_address(url: str, *, option: str, example: str) -> None:
    """Raise UsageError for what is no base URL, and for plain http beyond loopback."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise UsageError(f"{option} {url!r} is not an address like {example}")
    if parts.scheme == "http" and not is_loopback(url):
        raise UsageError(f"{option} {url!r}: plain http is for loopback only; use https")


def venue_of(url: str) -> str:
    """Return the venue that a host stands for; an unknown host stands for itself."""
    host = urlsplit(url).hostname or ""
    if is_loopback(url):
        return "local"
    return _VENUES.get(host, "binance" if _MAINNET.fullmatch(host) else host)


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
