"""A fresh process imports no more than it needs, and still has all that it could import."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

from tests.conftest import ROOT
from workbench.quick_imports import quick_imports, ready_numba

FRESH = """
import gc, sys
import numpy as np
import workbench as wb
from workbench.quick_imports import ready_numba

macd = wb.strategies.load("macd")
ready_numba()
unasked = {"coverage", "yaml", "numpy.f2py", "scipy.linalg", "scipy.linalg.cython_blas"}
print(sorted(unasked & set(sys.modules)), gc.isenabled())

from threading import Thread
from numba import njit

@njit(nogil=True)
def product(a, b, out):
    out[:] = np.dot(a, b)

out = np.zeros((2, 2))
one = Thread(target=product, args=(np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2) * 2.0, out))
one.start()
one.join()
import coverage, scipy.linalg, yaml
print(out.tolist(), type(scipy.linalg.cython_blas.__pyx_capi__["dgemm"]).__name__)
print(coverage.Coverage.__name__, yaml.safe_load("1"))
"""


def test_numba_starts_without_what_it_only_looks_for_and_has_it_when_wanted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "[] True",
        "[[2.0, 4.0], [6.0, 8.0]] PyCapsule",
        "Coverage 1",
    ]


def test_modules_that_are_imported_already_stay_the_same() -> None:
    import scipy.linalg

    before = sys.modules["scipy.linalg.cython_blas"]
    ready_numba()
    assert sys.modules["scipy.linalg.cython_blas"] is before is scipy.linalg.cython_blas


def test_garbage_is_collected_again_after_the_imports_even_where_one_fails() -> None:
    assert gc.isenabled()
    try:
        with quick_imports():
            assert not gc.isenabled()
            with quick_imports():
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise ImportError
    except ImportError:
        pass
    assert gc.isenabled()


def test_who_collects_no_garbage_is_left_alone() -> None:
    gc.disable()
    try:
        with quick_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
