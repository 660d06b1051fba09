"""The backtest room: sweep, single backtest, event-driven backtest, the headline study.

The room and the public call `workbench.backtest(...)` share one name, and Python lets the imported
package shadow the function. So the package itself can be called, and hands on to the face above.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from workbench.quick_imports import import_numba

import_numba()  # all in this room compile


class _Room(ModuleType):
    def __call__(self, *arguments: object, **settings: object) -> object:
        return import_module("workbench.face.research").backtest(*arguments, **settings)


sys.modules[__name__].__class__ = _Room
