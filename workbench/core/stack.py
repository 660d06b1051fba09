"""Records on the stack, so that the compiler can keep their fields in registers.

A record that lives in an array may be read by anybody, so every field is loaded and stored at every
candle. One that is born in the function, and handed to inlined functions alone, is taken apart into
registers: three times as fast for a strategy with a handful of fields.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def local_record(typing_context, dtype):
    """Return a zeroed record of a dtype, valid until the calling function returns."""
    record = dtype.dtype

    def generate(context, builder, signature, arguments):
        pointer = cgutils.alloca_once(builder, context.get_data_type(record))
        pointer.align = 16
        cgutils.memset(builder, pointer, context.get_constant(types.intp, record.size), 0)
        return pointer

    return record(dtype), generate


@intrinsic
def copy_record(typing_context, target, source):
    """Copy all bytes of a record into another one of the same dtype."""
    if target != source:
        raise TypeError("copy_record takes two records of one dtype")

    def generate(context, builder, signature, arguments):
        size = context.get_constant(types.intp, target.size)
        cgutils.raw_memcpy(builder, arguments[0], arguments[1], size, 1)
        return context.get_dummy_value()

    return types.void(target, source), generate


@intrinsic
def first_record(typing_context, array):
    """Return the first record of an array, to be read and written only where there is one.

    A record is a bare address. An array is counted whenever a function hands it on, by instructions
    that make both cores wait; so what is called at every fill gets the record.
    """

    def generate(context, builder, signature, arguments):
        return context.make_array(array)(context, builder, arguments[0]).data

    return array.dtype(array), generate


@intrinsic
def nth_record(typing_context, first, index):
    """Return the record that lies `index` places after the first one of a contiguous array."""

    def generate(context, builder, signature, arguments):
        size = context.get_constant(types.intp, first.size)
        return cgutils.pointer_add(builder, arguments[0], builder.mul(arguments[1], size))

    return first(first, types.intp), generate
