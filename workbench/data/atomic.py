"""Files that are there whole or not at all: written beside their place, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from workbench.errors import DataError

TEMPORARY = ".writing-"
ANYWHERE, STORE = "another place", "another with --store"  # what else may be named


def replace_bytes(path: Path, content: bytes, *, another: str = ANYWHERE) -> None:
    """Put bytes in the place of a file in one step.

    After a crash at any moment `path` holds its old bytes or its new ones. Raises DataError with
    the mend where the disk is full or the folder refuses.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # where the folder is a file there is nothing to remove
            temporary.unlink(missing_ok=True)
        what = f"{path.name} could not be written"
        raise DataError(mended(what, error, another=another)) from None


def demand_place(path: Path) -> None:
    """Raise DataError, with the mend, where a file cannot be put; the folders above it are made."""
    trial = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")  # no file that another writes
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise DataError(mended(f"{path.name} could not be written", error)) from None


def replace_text(path: Path, text: str, *, another: str = ANYWHERE) -> None:
    """Put text in the place of a file in one step."""
    replace_bytes(path, text.encode("utf-8"), another=another)


def mended(what: str, error: OSError, *, another: str = ANYWHERE) -> str:
    """Return what could not be written and why, with the mend."""
    what = f"{what}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{what}; free some disk space and run the same command again, it goes on where it was"
        )
    if isinstance(error, IsADirectoryError):
        return f"{what}; name a file in it, or {another}"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{what}; a file stands where a folder belongs: move it, or name {another}"
    folder = f" {Path(error.filename).parent.name}" if isinstance(error.filename, str) else ""
    return f"{what}; give yourself write permission on the folder{folder}, or name {another}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
