"""The quant workbench: load candles, sweep parameters, backtest, study. Nothing else is public.

Every name is loaded when it is first used, so that `import workbench` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from workbench.quick_imports import quick_imports

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from workbench import strategies
    from workbench.face.biases import bias
    from workbench.face.portfolios import part, portfolio
    from workbench.face.research import backtest, load, study, sweep
    from workbench.face.walk_forwards import walk_forward

__version__ = "0.1.0"
__all__ = [
    "backtest",
    "bias",
    "load",
    "part",
    "portfolio",
    "strategies",
    "study",
    "sweep",
    "walk_forward",
]

_HOMES = {
    "backtest": ("workbench.face.research", "backtest"),
    "bias": ("workbench.face.biases", "bias"),
    "load": ("workbench.face.research", "load"),
    "part": ("workbench.face.portfolios", "part"),
    "portfolio": ("workbench.face.portfolios", "portfolio"),
    "study": ("workbench.face.research", "study"),
    "sweep": ("workbench.face.research", "sweep"),
    "strategies": ("workbench.strategies", None),
    "walk_forward": ("workbench.face.walk_forwards", "walk_forward"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"workbench has no {name!r}; public are {', '.join(__all__)}")
    module, attribute = _HOMES[name]
    with quick_imports():
        found: object = import_module(module)
    if attribute is not None:
        found = getattr(found, attribute)
    globals()[name] = found
    return found


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Make the cell magic `%%strategy` known (`%load_ext workbench`)."""
    from workbench.magics import register

    register(ipython)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
