"""Import quickly: what a fresh process would wait for without having anything of it.

Nearly half of the time from a fresh process to its first sweep went into work that nobody asked for:

1. importing makes half a million objects, none of them garbage, and Python looks through all of them
   for some, again and again, and once more when the process ends;
2. numba imports coverage and yaml, only to see that they are not in use;
3. numba imports all of scipy.linalg, numpy.f2py included, only to see that it is there.

Nothing is taken away: what compiles `np.dot` imports scipy.linalg then.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType

_BLAS = "scipy.linalg.cython_blas"
_NUMBA_CONFIG = ".numba_config.yaml"  # in the working directory; numba reads it with yaml


@contextmanager
def quick_imports() -> Iterator[None]:
    """Collect no garbage while modules are imported, and nothing that is left when the process ends."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)


def import_numba() -> None:
    """Import numba as if coverage and yaml were not installed, where neither is in use."""
    unused = ("coverage",) if os.path.exists(_NUMBA_CONFIG) else ("coverage", "yaml")
    with quick_imports(), _instead(dict.fromkeys(unused)):
        import numba  # noqa: F401


def ready_numba() -> None:
    """Load what numba loads before its first compiled function; a second time costs nothing."""
    from numba.core.registry import cpu_target

    with quick_imports(), _instead({_BLAS: ModuleType(_BLAS)}):
        cpu_target.target_context.refresh()


@contextmanager
def _instead(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Let an import of these names find these modules, or None none, unless they are imported already."""
    missing = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules |= missing  # type: ignore[arg-type]  # None is Python's own sign for "there is none"
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]
