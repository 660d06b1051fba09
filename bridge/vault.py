"""The vault: exchange keys encrypted at rest, opened by one passphrase or by a key passed by pipe.

Nothing is cached: each call reads and proves the file again (`bridge.vault_file` holds the format
and its theory), so that keys added while a supervisor runs are there for it. Functions let go of a
passphrase or secret as soon as it is used: a traceback that shows locals must not show it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bridge import vault_file
from bridge.home import checked_name
from bridge.vault_file import Box, Cost, Credentials, Document, Entry, Kdf, Key
from workbench.errors import UsageError

__all__ = ["KINDS", "STANDARD", "Cost", "Credentials", "Entry", "Vault"]

KINDS = ("HMAC", "RSA", "ED25519")
STANDARD = Cost()
SHORTEST_PASSPHRASE = 8


class Vault:
    """An unlocked vault: its file and the key that opens it."""

    __slots__ = ("_key", "path")

    def __init__(self, path: Path, key: Key) -> None:
        self.path = path
        self._key = key

    def __repr__(self) -> str:
        return f"Vault({str(self.path)!r})"

    @classmethod
    def create(cls, path: Path, passphrase: str, *, cost: Cost = STANDARD) -> Vault:
        """Make an empty vault, mode 0600; UsageError for a taken path or a short passphrase."""
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise UsageError(f"the passphrase needs at least {SHORTEST_PASSPHRASE} characters")
        kdf = Kdf.fresh(cost)
        key = kdf.key(passphrase)
        del passphrase
        with vault_file.locked(path):
            if path.exists():
                raise UsageError(f"{path} exists already; open it, or move it away first")
            check = key.seal(b"", kdf.header())
            vault_file.store(path, key, Document(kdf, check, generation=0, boxes=()))
        return cls(path, key)

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Vault:
        """Unlock a vault; UsageError for a wrong passphrase, DataError for a changed file."""
        key = vault_file.read_kdf(path).key(passphrase)
        del passphrase
        vault_file.load(path, key)
        return cls(path, key)

    @classmethod
    def with_key(cls, path: Path, key: bytes) -> Vault:
        """Unlock with the key that another process handed over, without the passphrase."""
        hidden = Key(key)
        del key
        vault_file.load(path, hidden)
        return cls(path, hidden)

    def key_bytes(self) -> bytes:
        """Return the 32-byte key, to be passed to a child through a pipe and nowhere else."""
        return self._key.value

    def names(self) -> list[Entry]:
        """List the stored keys by name, without opening them."""
        document = vault_file.load(self.path, self._key)
        return sorted((box.entry for box in document.boxes), key=lambda entry: entry.name)

    def secret(self, name: str) -> Credentials:
        """Open one entry; UsageError when there is none of that name."""
        document = vault_file.load(self.path, self._key)
        return self._box(document, name).unlock(self._key)

    def add(self, name: str, venue: str, api_key: str, secret: str, *, kind: str = "HMAC") -> Entry:
        """Store one account's keys; UsageError for a taken name, a bad label or an empty key."""
        _demand_labels(name, venue, kind)
        credentials = Credentials(venue, api_key.strip(), secret.strip(), kind)
        del api_key, secret
        if not credentials.api_key or not credentials.secret:
            raise UsageError(f"the API key and the secret of {name!r} must not be empty")
        if not (credentials.api_key + credentials.secret).isascii():
            raise UsageError(f"the API key and the secret of {name!r} must be plain ASCII text")
        with vault_file.locked(self.path):
            document = vault_file.load(self.path, self._key)
            if any(box.entry.name == name for box in document.boxes):
                raise UsageError(f"{name!r} is there already; `bridge keys remove {name}` first")
            box = Box.lock(name, credentials, self._key, version=document.generation + 1)
            self._store(document, (*document.boxes, box))
        return box.entry

    def remove(self, name: str) -> None:
        """Forget one account's keys; UsageError when there is none of that name."""
        with vault_file.locked(self.path):
            document = vault_file.load(self.path, self._key)
            leaving = self._box(document, name)
            self._store(document, tuple(box for box in document.boxes if box is not leaving))

    def _box(self, document: Document, name: str) -> Box:
        for box in document.boxes:
            if box.entry.name == name:
                return box
        known = ", ".join(sorted(box.entry.name for box in document.boxes)) or "none"
        raise UsageError(f"no key named {name!r} in {self.path} (known: {known})")

    def _store(self, document: Document, boxes: tuple[Box, ...]) -> None:
        after = replace(document, generation=document.generation + 1, boxes=boxes)
        vault_file.store(self.path, self._key, after)


def _demand_labels(name: str, venue: str, kind: str) -> None:
    checked_name(name, "account")
    checked_name(venue, "venue")
    if kind not in KINDS:
        raise UsageError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
