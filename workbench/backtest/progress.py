"""How far heavy work has come: a bar where it is shown, nothing where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """What counts the work that is done."""

    def update(self, n: int, /) -> object:
        """Count so much more work."""
        ...


@contextmanager
def progress_bar(total: int, *, unit: str, desc: str, shown: bool) -> Iterator[Bar]:
    """Show a bar while the block runs; without one its library is not even loaded, which takes time."""
    if not shown:
        yield _Unseen()
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, unit=f" {unit}", desc=desc, leave=False) as bar:
        yield bar


class _Unseen:
    def update(self, _: int, /) -> None:
        pass
