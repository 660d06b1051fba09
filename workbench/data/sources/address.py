"""The address of a source: which are allowed, and whose candles lie behind one."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from workbench.errors import UsageError

_MAINNET = re.compile(r"api(-gcp|\d)?\.binance\.com|data(-api)?\.binance\.vision")
_VENUES = {"testnet.binance.vision": "testnet", "demo-api.binance.com": "demo"}
_STREAMS = {
    "testnet.binance.vision": "wss://stream.testnet.binance.vision",
    "demo-api.binance.com": "wss://demo-stream.binance.com",
    "data-api.binance.vision": "wss://data-stream.binance.vision",
}
_MAINNET_STREAM = "wss://stream.binance.com:9443"


def refuse_address(url: str, *, option: str, example: str) -> None:
    """Raise UsageError for what is no base URL like the example, and for plain text beyond loopback."""
    parts = urlsplit(url)
    safe = urlsplit(example).scheme  # https, or wss for streams
    plain = safe.removesuffix("s")
    if parts.scheme not in (plain, safe) or not parts.hostname or parts.query:
        raise UsageError(f"{option} {url!r} is not an address like {example}")
    if parts.scheme == plain and not is_loopback(url):
        raise UsageError(f"{option} {url!r}: plain {plain} is for loopback only; use {safe}")


def venue_of(url: str) -> str:
    """Return the venue that a host stands for; an unknown host stands for itself."""
    host = urlsplit(url).hostname or ""
    if is_loopback(url):
        return "local"
    return _VENUES.get(host, "binance" if _MAINNET.fullmatch(host) else host)


def stream_url_of(base_url: str) -> str:
    """Return the address of the market streams that belong to a REST API.

    Raises UsageError for a host whose streams nobody knows.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_loopback(base_url):
        return f"ws://{parts.netloc}" if parts.scheme == "http" else f"wss://{parts.netloc}"
    if host in _STREAMS:
        return _STREAMS[host]
    if _MAINNET.fullmatch(host):
        return _MAINNET_STREAM
    raise UsageError(
        f"nobody knows the streams of {host}; name them with --stream-url wss://HOST[:PORT]"
    )


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
