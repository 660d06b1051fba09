"""Client order ids: `wb-<tag8>-<seq base32>-<attempt>`, a pure function of instance, decision and attempt.

The exchange knows at most one order a ticket by it; after a restart the same ticket asks for the
same id.
"""

from __future__ import annotations

import re

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PATTERN = re.compile(rf"wb-([{_DIGITS}]{{8}})-([{_DIGITS}]+)-(\d+)")
LONGEST = 36


def client_order_id(tag: str, seq: int, attempt: int) -> str:
    """Return the id of one attempt to carry out one decision."""
    made = f"wb-{tag}-{base32(seq)}-{attempt}"
    if not _PATTERN.fullmatch(made) or len(made) > LONGEST:
        raise ValueError(f"tag {tag!r}, seq {seq}, attempt {attempt} give no valid client order id")
    return made


def list_id(first: str) -> str:
    """Return the id of a list of orders, from that of its first one; no order has such an id."""
    return f"{first}-l"


def parse(text: str) -> tuple[str, int, int] | None:
    """Return (tag, seq, attempt) of an id of ours, or None for a foreign one."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    return match[1], int(match[2], 32), int(match[3])


def new_tag(chance: bytes) -> str:
    """Return an instance's tag from five random bytes."""
    number = int.from_bytes(chance[:5], "big")
    return base32(number).rjust(8, "0")


def base32(number: int) -> str:
    """Return a whole number in base 32, digits 0-9 and a-v."""
    if number < 0:
        raise ValueError(f"{number} is below 0")
    text = ""
    while number or not text:
        number, digit = divmod(number, 32)
        text = _DIGITS[digit] + text
    return text
