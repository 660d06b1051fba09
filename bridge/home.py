"""Where the bridge keeps its state: one private folder, and short socket paths that the kernel accepts."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from workbench.errors import UsageError
from workbench.home import home_path

# sun_path holds 108 bytes on Linux and 104 on macOS, the final zero included.
LONGEST_SOCKET_PATH = 100
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


def home() -> Path:
    """Return the state folder, made private (0700) on first use."""
    return private_folder(home_path())


def private_folder(path: Path) -> Path:
    """Make `path` if need be and refuse a folder that another user owns or may enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.stat()
    if found.st_uid != os.getuid():
        raise UsageError(
            f"{path} belongs to uid {found.st_uid}, not {os.getuid()}; set WORKBENCH_HOME to a folder of yours"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
    return path


def account_folder(account: str) -> Path:
    """Return the private folder of one account."""
    return private_folder(private_folder(home() / "accounts") / checked_name(account, "account"))


def journal_path(account: str) -> Path:
    """Return the journal of one account."""
    return account_folder(account) / "journal.db"


def gateway_socket(account: str) -> Path:
    """Return the socket of an account's gateway; a path too long for the kernel moves to a short folder."""
    path = account_folder(account) / "gateway.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:20]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime else Path(tempfile.gettempdir())
    return private_folder(base / f"workbench-{os.getuid()}") / f"{digest}.sock"


def supervisor_file() -> Path:
    """Return the file (0600) that tells clients where the supervisor listens."""
    return home() / "supervisor.json"


def vault_path() -> Path:
    """Return the file that holds the encrypted keys."""
    return home() / "vault.json"


def log_folder() -> Path:
    """Return the folder of the processes' logs."""
    return private_folder(home() / "logs")


def checked_name(name: str, what: str) -> str:
    """Return `name` if it can be a file name and part of a URL, else raise UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{what} name {name!r} must be 1 to 32 letters, digits, '-' or '_', beginning with a letter or digit"
        )
    return name


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
