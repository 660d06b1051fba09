"""Names for functions that are made anew for each kernel, so that their machine code is never mixed up.

numba names compiled code by a function's qualified name and a number that counts within the process.
Two functions from one factory have one name, and compiled by two processes perhaps one number; loaded
from the cache into a third process, the first one then runs in place of both. So whatever a factory
makes carries the name of the kernel and of the form that it is made for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


def named(name: str) -> Callable[[Function], Function]:
    """Return a decorator, to stand below `@njit`, that makes `name` a part of the function's name."""

    def rename(function: Function) -> Function:
        function.__qualname__ = f"{function.__name__}_{name}"
        return function

    return rename
