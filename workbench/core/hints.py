"""What the compiler is told about a loop: which of its branches are seldom taken.

The machine has few registers, and a call may use them all. Where the compiler does not know that the
calls of a candle are rare, it keeps the values of the whole loop in memory at every candle; told so, it
puts them there around the calls alone.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def seldom(typing_context, condition):
    """Return a condition as it is; the branch that it opens is laid out as the one rarely taken."""

    def generate(context, builder, signature, arguments):
        bit = ir.IntType(1)
        expect = builder.module.declare_intrinsic(
            "llvm.expect", [bit], ir.FunctionType(bit, [bit, bit])
        )
        return builder.call(expect, [arguments[0], bit(0)])

    return types.boolean(types.boolean), generate
