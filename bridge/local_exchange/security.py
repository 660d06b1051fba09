"""Who sent a signed request, and whether it is fresh: key, timestamp, signature, in that order.

The signature covers the raw query string followed directly by the raw body, the `signature`
parameter taken out of both; over the WebSocket API it covers all parameters but itself, sorted by
name and not percent-encoded. HMAC-SHA256 in hex, upper or lower case; Ed25519 and RSA in base64.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from bridge.local_exchange.accounts import Account, Accounts, KeyKind
from bridge.local_exchange.parameters import Parameters, missing
from workbench.execution.orders import Rejected

DEFAULT_WINDOW_MS = 5_000
MAX_WINDOW_MS = 60_000
AHEAD_MS = 1_000
_DIGITS = r"^[0-9]{1,20}$"
_DIGIT = re.compile(_DIGITS, re.ASCII)
_WINDOW = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?", re.ASCII)
_MICROSECONDS = 10**14  # a timestamp above this is in microseconds


def rest_payload(query: str, body: str) -> str:
    """Return what a REST request's signature covers."""
    return _without_signature(query) + _without_signature(body)


def ws_payload(params: Mapping[str, str]) -> str:
    """Return what a WebSocket API request's signature covers."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def sign(secret: str, payload: str) -> str:
    """Return the HMAC-SHA256 of a payload in hex."""
    return hmac.digest(secret.encode(), payload.encode(), "sha256").hex()


def authenticate(
    accounts: Accounts, params: Parameters, *, api_key: str, payload: str, wall_ms: int
) -> Account:
    """Return the account that signed a request, or refuse it with Binance's code."""
    signature = params.text("signature")
    sent = params.text("timestamp")
    account = identify(accounts, api_key)
    check_fresh(sent, params.optional("recvWindow"), wall_ms)
    if not _verified(account, payload, signature):
        raise Rejected(-1022, "Signature for this request is not valid.")
    return account


def _verified(account: Account, payload: str, signature: str) -> bool:
    if account.kind is KeyKind.HMAC:
        sent = signature.lower().encode()
        return hmac.compare_digest(sign(account.secret, payload).encode(), sent)
    from bridge.local_exchange.key_pairs import verified

    return verified(account.secret, payload, signature)


def identify(accounts: Accounts, api_key: str) -> Account:
    """Return the account of a key: -2014 for what cannot be one, -2015 for one nobody has."""
    if not Accounts.well_formed(api_key):
        raise Rejected(-2014, "API-key format invalid.")
    account = accounts.by_key(api_key)
    if account is None:
        raise Rejected(-2015, "Invalid API-key, IP, or permissions for action.")
    return account


def check_fresh(sent: str, window: str | None, wall_ms: int) -> None:
    """Refuse a timestamp outside (now - recvWindow ... now + 1 s); milli- or microseconds."""
    if _DIGIT.fullmatch(sent) is None:
        raise Rejected(
            -1100, f"Illegal characters found in parameter 'timestamp'; legal range is '{_DIGITS}'."
        )
    window_us = _window_us(window)
    sent_us = int(sent) if int(sent) > _MICROSECONDS else int(sent) * 1000
    if sent_us >= (wall_ms + AHEAD_MS) * 1000:
        raise Rejected(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if wall_ms * 1000 - sent_us > window_us:
        raise Rejected(-1021, "Timestamp for this request is outside of the recvWindow.")


@lru_cache(maxsize=64)
def _window_us(window: str | None) -> int:
    """Return a recvWindow of at most three decimals in microseconds."""
    if window is None:
        return DEFAULT_WINDOW_MS * 1000
    if _WINDOW.fullmatch(window) is None:
        raise missing("recvWindow")
    window_us = int(Decimal(window) * 1000)
    if window_us > MAX_WINDOW_MS * 1000:
        raise Rejected(-1131, "recvWindow must be less than 60000.")
    return window_us


def _without_signature(raw: str) -> str:
    return "&".join(part for part in raw.split("&") if not part.startswith("signature="))
