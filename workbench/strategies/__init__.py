"""The strategies by name: those that ship, each compiled only when asked for, and the user's own."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import UsageError
from workbench.quick_imports import import_numba

if TYPE_CHECKING:
    from workbench.strategies.spec import Spec

_FILES = {
    "macd": "macd_crossover",
    "ema_cross": "exponential_average_cross",
    "sma_cross": "simple_average_cross",
    "rsi": "rsi_swing",
    "bollinger": "bollinger_reversion",
    "donchian": "donchian_breakout",
    "grid": "grid_ladder",
    "dca": "cost_averaging",
    "hold": "buy_and_hold",
    "random_entry": "random_control",
}
_FACE = (
    "load", "names", "own_names", "copy_own", "rebuild", "register", "own", "declared",
    "checks", "spec",
)  # fmt: skip


def names() -> tuple[str, ...]:
    """Return the names of the shipped strategies."""
    return tuple(_FILES)


def own_names() -> tuple[str, ...]:
    """Return the names of the user's own strategies in WORKBENCH_HOME."""
    from workbench.strategies import own

    return own.names()


def load(name: str, sha: str = "") -> Spec:
    """Return the strategy of that name, or of a file `path/to/name.py`, which is registered by it.

    With `sha` an own strategy comes in that version. Raises UsageError where there is none.
    """
    import_numba()
    if name in _FILES:
        spec: Spec = import_module(f"workbench.strategies.{_FILES[name]}").SPEC
        return spec
    from workbench.strategies import own

    if name.endswith(".py"):
        return own.register_file(Path(name), taken=(*_FILES, *_FACE))
    found = own.find(name, sha)
    if found is None:
        version = f" in version {sha[: own.SHORT]}" if sha and name in own.names() else ""
        known = ", ".join((*_FILES, *own.names()))
        raise UsageError(f"unknown strategy {name!r}{version}; known are {known}")
    return found


def register(name: str, text: str) -> Spec:
    """Check and keep the text of an own strategy under a name; UsageError says what is wrong with it."""
    from workbench.strategies import own

    return own.register(name, text, taken=(*_FILES, *_FACE))


def copy_own(name: str, home: Path) -> None:
    """Keep the current version of an own strategy in another WORKBENCH_HOME too."""
    from workbench.strategies import own

    folder = home / "strategies"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    own.keep(load(name), folder)


def rebuild(name: str, sha: str, text: str) -> Spec:
    """Return a spec that was pickled elsewhere; UsageError where the code here is another."""
    from workbench.strategies import own

    spec = load(name) if name in _FILES else own.build(name, text)
    if spec.sha != sha:
        raise UsageError(
            f"strategy {name} is {spec.sha[:12]} here, {sha[:12]} was asked for; run the same version of "
            "the workbench on both sides"
        )
    return spec


def __getattr__(name: str) -> Spec:
    if not name.startswith("_") and name not in _FACE:  # a submodule is not a strategy
        try:
            return load(name)
        except UsageError as error:
            raise AttributeError(str(error)) from None
    raise AttributeError(f"no strategy {name!r}; known are {', '.join(_FILES)}")


def __dir__() -> list[str]:
    return [*_FILES, *own_names(), "load", "names", "own_names", "register"]
