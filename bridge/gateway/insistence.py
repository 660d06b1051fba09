"""A sale that must not fail: it goes out again until the exchange has said what became of it.

All copies have one id. One follows, four times a second, only where the exchange has just said that it knows
of none and the base is seen to be there still; one that comes after a stop that did land finds it locked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from bridge.clock import Clock
from bridge.exchanges.base import Doubt, OrderReport, Refused

MOST_COPIES = 20
NEXT_COPY = 0.25  # seconds after the one before
ANSWER_WITHIN = 0.4  # seconds for a question that a sale waits for

Reports = tuple[OrderReport, ...]


async def answer_of(
    send: Callable[[], Coroutine[Any, Any, Reports]],
    look: Callable[[], Awaitable[bool | None]],
    may_repeat: Callable[[], Awaitable[bool]],
    clock: Clock,
) -> Reports | Refused | None:
    """Send until there is an answer, be it no; () where a look found the order, None where nobody answers.

    `look` tells whether the exchange knows the order, None without an answer.
    """
    copies: list[asyncio.Future[Reports]] = []
    try:
        for _ in range(MOST_COPIES):
            found, repeats = await _known(look, may_repeat) if copies else (False, True)
            if found:
                return ()
            if found is False and repeats:
                copies.append(asyncio.ensure_future(send()))
            elif not repeats and all(one.done() for one in copies):
                return None  # nobody's answer is waited for, and none may follow
            answered = await _first_answered(copies, clock)
            if answered is not None:
                refusal = answered.exception()
                return refusal if isinstance(refusal, Refused) else answered.result()
        return None
    finally:
        for one in copies:
            one.cancel()


async def _known(
    look: Callable[[], Awaitable[bool | None]], may_repeat: Callable[[], Awaitable[bool]]
) -> tuple[bool | None, bool]:
    """Ask both at once: each question takes from the time that the position may be bare."""
    found, repeats = await asyncio.gather(_soon(look), may_repeat())
    return found, repeats


async def _soon(look: Callable[[], Awaitable[bool | None]]) -> bool | None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            return await look()
    except TimeoutError:
        return None


async def _first_answered(
    copies: Sequence[asyncio.Future[Reports]], clock: Clock
) -> asyncio.Future[Reports] | None:
    """Return the first copy that is answered before the next one is due, None without one."""
    pause = asyncio.ensure_future(clock.sleep(NEXT_COPY))
    try:
        answered = None
        while answered is None and not pause.done():
            waiting: set[asyncio.Future[Any]] = {one for one in copies if not one.done()}
            await asyncio.wait({*waiting, pause}, return_when=asyncio.FIRST_COMPLETED)
            answered = next((one for one in copies if _is_answered(one)), None)
        return answered
    finally:
        pause.cancel()


def _is_answered(copy: asyncio.Future[Reports]) -> bool:
    """Tell whether the exchange has said what became of a copy, be it no."""
    return copy.done() and not isinstance(copy.exception(), Doubt)
