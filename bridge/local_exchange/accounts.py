"""The exchange's users: their names and API keys, made at start or read from a keys file.

A key is HMAC, whose secret both sides hold, or ED25519 or RSA, of which a real exchange would know
only the public half; here its private half, a PEM, is made for the user and told once. The file
holds `{"accounts": [{"api_key", "secret", "type"}]}`, mode 0600, so that an exchange can be started
again with the keys that its clients already have.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from workbench.errors import UsageError

_KEY = re.compile(r"[A-Za-z0-9]{64}")
_ALPHABET = string.ascii_letters + string.digits


class KeyKind(StrEnum):
    """How a key signs."""

    HMAC = "HMAC"
    ED25519 = "ED25519"
    RSA = "RSA"


@dataclass(frozen=True, slots=True)
class Account:
    """One user with one key; the secret never shows in a repr."""

    name: str
    uid: int
    api_key: str
    secret: str = field(repr=False)
    kind: KeyKind = KeyKind.HMAC

    def published(self) -> dict[str, str]:
        """Return the key as the first line of `bridge exchange --json` prints it."""
        return {"api_key": self.api_key, "secret": self.secret, "type": self.kind}


def parse_kinds(text: str) -> tuple[KeyKind, ...]:
    """Return "HMAC,ED25519" as kinds; UsageError for anything else."""
    try:
        return tuple(KeyKind(part.strip().upper()) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"key types {text!r}: {error}; write e.g. HMAC,ED25519,RSA") from None


class Accounts:
    """All users, found by API key."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_key = {account.api_key: account for account in accounts}
        self.all = tuple(self._by_key.values())

    def by_key(self, api_key: str) -> Account | None:
        """Return the account of a key, None for a key that nobody has."""
        return self._by_key.get(api_key)

    @staticmethod
    def well_formed(api_key: str) -> bool:
        """Whether a text could be an API key: 64 letters and digits."""
        return _KEY.fullmatch(api_key) is not None


def generate(count: int, kinds: Sequence[KeyKind] = (KeyKind.HMAC,)) -> list[Account]:
    """Return that many accounts with fresh random keys, of these kinds in turn."""
    dealt = [kinds[i % len(kinds)] for i in range(count)]
    return [_account(i, _random(), _secret(kind), kind) for i, kind in enumerate(dealt)]


def from_file(path: Path, count: int, kinds: Sequence[KeyKind] = (KeyKind.HMAC,)) -> list[Account]:
    """Return the accounts of a keys file; where there is none, make it (mode 0600).

    Raises UsageError for a file that others can read or that holds something else.
    """
    if not path.exists():
        accounts = generate(count, kinds)
        text = json.dumps({"accounts": [account.published() for account in accounts]})
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)
        return accounts
    if path.stat().st_mode & 0o077:
        raise UsageError(f"keys file {path.name} can be read by others; run chmod 600 on it")
    try:
        keys = json.loads(path.read_text())["accounts"]
        return [
            _account(i, key["api_key"], key["secret"], KeyKind(key.get("type", "HMAC")))
            for i, key in enumerate(keys)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"keys file {path.name} holds no accounts with api_key and secret ({error}); "
            "delete it to have a new one made"
        ) from None


def _account(index: int, api_key: str, secret: str, kind: KeyKind) -> Account:
    if not Accounts.well_formed(api_key):
        raise UsageError(f"api key number {index + 1} is not 64 letters and digits")
    return Account(f"account-{index + 1}", 1_000_000 + index, api_key, secret, kind)


def _secret(kind: KeyKind) -> str:
    """Return a new secret: random letters, or a private key as PEM."""
    if kind is KeyKind.HMAC:
        return _random()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    private = (
        ed25519.Ed25519PrivateKey.generate()
        if kind is KeyKind.ED25519
        else rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    )
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(64))
