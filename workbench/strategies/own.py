"""A user's own strategies: checked, kept under their hash in WORKBENCH_HOME, and found again.

`strategies/NAME@SHA12.py` holds one version, never changed once it is written; `strategies/NAME.current`
names the newest one. So a live instance goes on with the version it was started with while the
notebook cell is edited, and every process that loads the name finds the same code.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import ModuleType

from workbench.errors import UsageError
from workbench.home import home, home_path
from workbench.strategies.spec import Spec, sha_of

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
SHORT = 12
_loaded: dict[tuple[str, str], Spec] = {}


def register(name: str, text: str, *, taken: tuple[str, ...] = ()) -> Spec:
    """Check a strategy's text, keep it, make it the current one of that name, and return it.

    Raises UsageError, in one line, for a name that is `taken` or impossible and for text that is no
    strategy; nothing is kept then.
    """
    from workbench.strategies.checks import try_out

    _check_name(name, taken)
    spec = build(name, text)
    try_out(spec)
    keep(spec, _folder())
    return spec


def register_file(path: Path, *, taken: tuple[str, ...] = ()) -> Spec:
    """Register a file under its own name; UsageError where it cannot be read or is no strategy."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"strategy file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"strategy file {path} cannot be read: it is no text in UTF-8") from None
    return register(path.stem, text, taken=taken)


def find(name: str, sha: str = "") -> Spec | None:
    """Return an own strategy: the version that `sha` begins, or the current one; None where there is none.

    Raises UsageError for a kept file that no longer is what its name says.
    """
    folder = home_path() / "strategies"
    if not NAME.fullmatch(name):
        return None
    short = sha[:SHORT]
    if not short:
        try:
            short = (folder / f"{name}.current").read_text(encoding="ascii").strip()
        except OSError:
            return None
    path = folder / f"{name}@{short}.py"
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    if sha_of(text)[:SHORT] != short:
        raise UsageError(
            f"{path.name} was changed after it was kept; delete it and register {name} from your source"
        )
    return build(name, text)


def names() -> tuple[str, ...]:
    """Return the names of the own strategies that are kept."""
    folder = home_path() / "strategies"
    return tuple(sorted(one.stem for one in folder.glob("*.current") if NAME.fullmatch(one.stem)))


def build(name: str, text: str) -> Spec:
    """Return the spec of a strategy's text, executed once a process; UsageError where it is none."""
    from workbench.strategies.checks import check_source
    from workbench.strategies.declared import spec_of

    key = (name, sha_of(text))
    if key not in _loaded:
        tree = check_source(name, text)
        module = ModuleType(f"workbench_strategy_{name}_{key[1][:SHORT]}")
        module.__file__ = f"{name}@{key[1][:SHORT]}.py"
        sys.modules[module.__name__] = module  # kernels import the decision from it
        try:
            _execute(name, text, module)
            _loaded[key] = spec_of(name, text, module, tree)
        except BaseException:
            del sys.modules[module.__name__]
            raise
    return _loaded[key]


def keep(spec: Spec, folder: Path) -> Path:
    """Write a strategy's text into a folder under its hash and make it the current one; return the file."""
    path = folder / f"{spec.name}@{spec.sha[:SHORT]}.py"
    _write(path, spec.text)
    _write(folder / f"{spec.name}.current", spec.sha[:SHORT])
    return path


def _execute(name: str, text: str, module: ModuleType) -> None:
    try:
        exec(compile(text, str(module.__file__), "exec"), vars(module))
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise UsageError(
            f"strategy {name} fails when loaded: {type(error).__name__}: {error}"
        ) from None


def _check_name(name: str, taken: tuple[str, ...]) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"strategy name {name!r} must be 1 to 32 small letters, digits or '_', beginning with a letter"
        )
    if name in taken:
        raise UsageError(f"strategy name {name!r} is taken by the workbench; choose another")


def _folder() -> Path:
    folder = home() / "strategies"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(path)
