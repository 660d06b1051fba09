"""Frames between a gateway and a runner: `Bar` out, `Decision` back, as raw dtype bytes.

kind u8 | seq i64 | three lengths u32 | code_sha 32 bytes | three parts

LOAD      JSON {strategy, params, code_sha}      READY     JSON (`Loaded`), initial state
WARM      state, candles (many), cash f8         WARMED    state'
BAR       state, candle, position                DECISION  state', intent
                                                 FAULT     text
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

_HEADER = struct.Struct("!BqIII32s")
HEADER_SIZE = _HEADER.size
CASH = struct.Struct("<d")
LARGEST_PART = 64 * 1024 * 1024
NO_SHA = bytes(32)


class Kind(IntEnum):
    """What a frame says."""

    LOAD = 1
    READY = 2
    WARM = 3
    WARMED = 4
    BAR = 5
    DECISION = 6
    FAULT = 7


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; what the parts hold depends on the kind."""

    kind: Kind
    seq: int = 0
    first: bytes = b""
    second: bytes = b""
    third: bytes = b""
    code_sha: bytes = NO_SHA

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        lengths = (len(self.first), len(self.second), len(self.third))
        head = _HEADER.pack(self.kind, self.seq, *lengths, self.code_sha)
        return head + self.first + self.second + self.third


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed part of a frame."""

    kind: Kind
    seq: int
    lengths: tuple[int, int, int]
    code_sha: bytes

    @property
    def body_size(self) -> int:
        """Return how many bytes follow."""
        return sum(self.lengths)

    def with_body(self, body: bytes) -> Frame:
        """Return the whole frame."""
        one, two, _ = self.lengths
        return Frame(
            self.kind, self.seq, body[:one], body[one : one + two], body[one + two :], self.code_sha
        )


def decode_header(data: bytes) -> Header:
    """Read the fixed part. Raises ValueError for an unknown kind or an absurd length."""
    kind, seq, one, two, three, code_sha = _HEADER.unpack(data)
    if max(one, two, three) > LARGEST_PART:
        raise ValueError(f"a frame part of {max(one, two, three)} bytes is above {LARGEST_PART}")
    return Header(Kind(kind), seq, (one, two, three), code_sha)
