"""The vault's file: what is sealed under what, and the only code that reads or writes its bytes.

Theory. Argon2id turns the passphrase into a 32-byte key. Three uses of AES-256-GCM hang on it:

- `check` seals nothing under the KDF header: it tells a wrong passphrase from a damaged file;
- each entry seals its API key and secret; what is readable beside them (name, venue, kind,
  fingerprint) and the entry's version are its associated data, so boxes cannot be swapped;
- `seal` seals nothing under the whole document, so an entry cannot be dropped or put back alone.

A file is accepted only when writing what was read gives the same bytes again, hence no byte of it
can change unseen. An older copy of the whole file is still a good vault; that is a backup.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from workbench.errors import DataError, UsageError

FORMAT = "workbench-vault/1"
KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess of the passphrase costs: Argon2id's passes, memory in KiB and lanes."""

    iterations: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 4

    def is_bearable(self) -> bool:
        """Tell whether a machine can pay it: a forged header must not eat all memory."""
        return (
            1 <= self.iterations <= 32
            and 1 <= self.lanes <= 16
            and 8 * self.lanes <= self.memory_kib <= 1024 * 1024
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """What may be shown of a stored key; the fingerprint is a hash of the API key."""

    name: str
    venue: str
    kind: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """One account's keys in the clear; the repr shows neither."""

    venue: str
    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    kind: str = "HMAC"


@dataclass(frozen=True, slots=True)
class Key:
    """The 32 bytes that open a vault; hidden from repr and from tracebacks that show locals."""

    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.value) != KEY_BYTES:
            raise UsageError(f"a vault key has {KEY_BYTES} bytes, not {len(self.value)}")

    def seal(self, plain: bytes, associated: bytes) -> bytes:
        """Return nonce + ciphertext + tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self.value).encrypt(nonce, plain, associated)

    def unseal(self, box: bytes, associated: bytes) -> bytes | None:
        """Return the plain bytes, or None when the box is not ours or not for this place."""
        try:
            return AESGCM(self.value).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], associated)
        except (InvalidTag, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Kdf:
    """How the key is made from the passphrase."""

    salt: bytes
    cost: Cost

    @classmethod
    def fresh(cls, cost: Cost) -> Kdf:
        """Draw a salt."""
        return cls(secrets.token_bytes(SALT_BYTES), cost)

    def key(self, passphrase: str) -> Key:
        """Derive the key; slow on purpose."""
        words = unicodedata.normalize("NFC", passphrase).encode(errors="surrogatepass")
        del passphrase
        argon = Argon2id(
            salt=self.salt,
            length=KEY_BYTES,
            iterations=self.cost.iterations,
            lanes=self.cost.lanes,
            memory_cost=self.cost.memory_kib,
        )
        return Key(argon.derive(words))

    def header(self) -> bytes:
        """Return the associated data of the passphrase check."""
        return _canonical(FORMAT, "check", self.salt.hex(), *_cost_row(self.cost))


@dataclass(frozen=True, slots=True)
class Box:
    """One sealed entry, and the version that ties it to its place."""

    entry: Entry
    version: int
    sealed: bytes

    @classmethod
    def lock(cls, name: str, credentials: Credentials, key: Key, *, version: int) -> Box:
        """Seal one account's keys under its name, venue, kind, fingerprint and version."""
        fingerprint = sha256(credentials.api_key.encode()).hexdigest()[:16]
        entry = Entry(name, credentials.venue, credentials.kind, fingerprint)
        plain = json.dumps([credentials.api_key, credentials.secret]).encode()
        return cls(entry, version, key.seal(plain, _entry_row(entry, version)))

    def unlock(self, key: Key) -> Credentials:
        """Open the box; DataError when it belongs to another name or version."""
        plain = key.unseal(self.sealed, _entry_row(self.entry, self.version))
        if plain is None:
            raise DataError(
                f"the vault's entry {self.entry.name!r} is not its own; restore a backup"
            )
        api_key, secret = json.loads(plain)
        return Credentials(self.entry.venue, api_key, secret, self.entry.kind)


@dataclass(frozen=True, slots=True)
class Document:
    """All that the file holds, but for the seal over it."""

    kdf: Kdf
    check: bytes
    generation: int
    boxes: tuple[Box, ...]


def read_kdf(path: Path) -> Kdf:
    """Read how the key is made; all else in the file is unproven until `load`."""
    return _parse(path, _read(path))[0].kdf


def load(path: Path, key: Key) -> Document:
    """Read and prove the file; UsageError for a wrong key, DataError for a changed file."""
    raw = _read(path)
    document, seal = _parse(path, raw)
    if key.unseal(document.check, document.kdf.header()) is None:
        raise UsageError(f"wrong passphrase for {path}; try again, there is no way around it")
    if key.unseal(seal, _sealed_row(document)) is None or _text(document, seal) != raw:
        raise _damaged(path)
    return document


def store(path: Path, key: Key, document: Document) -> None:
    """Write the file whole or not at all, mode 0600."""
    text = _text(document, key.seal(b"", _sealed_row(document)))
    try:
        _replace(path, text)
    except OSError as error:
        raise UsageError(
            f"cannot write the vault {path}: {error.strerror}; it is as it was before"
        ) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other writers out between reading and writing; readers need no lock."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise UsageError(f"no vault at {path}; make one with `bridge keys add NAME`") from None
    except OSError as error:
        raise UsageError(f"cannot open the vault {path}: {error.strerror}") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"the vault {path} is not a file")
        if status.st_uid != os.geteuid():
            raise UsageError(f"the vault {path} belongs to another user; `chown` it to yourself")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise UsageError(f"others can read {path} (mode {mode:04o}); run `chmod 600 {path}`")
        return file.read()


def _parse(path: Path, raw: bytes) -> tuple[Document, bytes]:
    try:
        tree = json.loads(raw)
        if tree["format"] != FORMAT:
            raise UsageError(f"{path} is not a {FORMAT} file; it was written by another version")
        iterations, memory_kib, lanes = (int(number) for number in tree["kdf"]["cost"])
        kdf = Kdf(bytes.fromhex(tree["kdf"]["salt"]), Cost(iterations, memory_kib, lanes))
        boxes = tuple(_parse_box(row) for row in tree["entries"])
        document = Document(kdf, bytes.fromhex(tree["check"]), int(tree["generation"]), boxes)
        seal = bytes.fromhex(tree["seal"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise _damaged(path) from None
    if len(kdf.salt) != SALT_BYTES or not kdf.cost.is_bearable():
        raise _damaged(path)
    return document, seal


def _parse_box(row: dict[str, str | int]) -> Box:
    entry = Entry(*(str(row[name]) for name in ("name", "venue", "kind", "fingerprint")))
    return Box(entry, int(row["version"]), bytes.fromhex(str(row["sealed"])))


def _text(document: Document, seal: bytes) -> bytes:
    rows = [
        {
            "name": box.entry.name,
            "venue": box.entry.venue,
            "kind": box.entry.kind,
            "fingerprint": box.entry.fingerprint,
            "version": box.version,
            "sealed": box.sealed.hex(),
        }
        for box in document.boxes
    ]
    tree = {
        "format": FORMAT,
        "kdf": {"salt": document.kdf.salt.hex(), "cost": _cost_row(document.kdf.cost)},
        "check": document.check.hex(),
        "generation": document.generation,
        "entries": rows,
        "seal": seal.hex(),
    }
    return (json.dumps(tree, indent=1) + "\n").encode()


def _sealed_row(document: Document) -> bytes:
    return _canonical(FORMAT, "seal", _text(document, b"").decode())


def _entry_row(entry: Entry, version: int) -> bytes:
    return _canonical(
        FORMAT, "entry", entry.name, entry.venue, entry.kind, entry.fingerprint, version
    )


def _cost_row(cost: Cost) -> list[int]:
    return [cost.iterations, cost.memory_kib, cost.lanes]


def _canonical(*parts: str | int) -> bytes:
    return json.dumps(parts).encode()


def _damaged(path: Path) -> DataError:
    return DataError(f"the vault {path} was changed or damaged; restore it from a backup")


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
