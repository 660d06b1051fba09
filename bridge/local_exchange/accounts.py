"""The exchange's users: their names and API keys, made at start or read from a keys file.

The file holds `{"accounts": [{"api_key", "secret", "type"}]}`, mode 0600, so that an exchange can
be started again with the keys that its clients already have.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import UsageError

_KEY = re.compile(r"[A-Za-z0-9]{64}")
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Account:
    """One user with one HMAC key; the secret never shows in a repr."""

    name: str
    uid: int
    api_key: str
    secret: str = field(repr=False)

    def published(self) -> dict[str, str]:
        """Return the key as the first line of `bridge exchange --json` prints it."""
        return {"api_key": self.api_key, "secret": self.secret, "type": "HMAC"}


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


def generate(count: int) -> list[Account]:
    """Return that many accounts with fresh random keys."""
    return [_account(i, _random(), _random()) for i in range(count)]


def from_file(path: Path, count: int) -> list[Account]:
    """Return the accounts of a keys file; where there is none, make it (mode 0600).

    Raises UsageError for a file that others can read or that holds something else.
    """
    if not path.exists():
        accounts = generate(count)
        text = json.dumps({"accounts": [account.published() for account in accounts]})
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)
        return accounts
    if path.stat().st_mode & 0o077:
        raise UsageError(f"keys file {path.name} can be read by others; run chmod 600 on it")
    try:
        keys = json.loads(path.read_text())["accounts"]
        return [_account(i, key["api_key"], key["secret"]) for i, key in enumerate(keys)]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"keys file {path.name} holds no accounts with api_key and secret ({error}); "
            "delete it to have a new one made"
        ) from None


def _account(index: int, api_key: str, secret: str) -> Account:
    if not Accounts.well_formed(api_key):
        raise UsageError(f"api key number {index + 1} is not 64 letters and digits")
    return Account(f"account-{index + 1}", 1_000_000 + index, api_key, secret)


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(64))
