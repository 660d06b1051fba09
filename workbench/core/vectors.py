"""Lanes: sixteen numbers that one machine instruction, or a few, works on at once.

A compiled function may hold lanes in its variables and write `a + w * (b - a)` with them as with
numbers; so the steps of `indicators` that are plain arithmetic run on both. Lanes are an LLVM
vector, which the compiler cuts into what the processor has: two registers with AVX-512, four with
AVX2, eight on ARM. Each operation rounds as the scalar one does (nothing is fused or reordered), so
a lane's result is that of the scalar code, bit for bit, on every processor.

Sign bits are gathered with a funnel shift: `push_sign` shifts one bit a lane into a word, so that
64 candles of sixteen parameter sets become sixteen words.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
_INT = ir.IntType(64)
_DOUBLE = ir.DoubleType()
_DOUBLES = ir.VectorType(_DOUBLE, LANES)
_WORDS = ir.VectorType(_INT, LANES)


class Lanes(types.Type):
    """The compiler's type of sixteen numbers of one kind."""

    def __init__(self, kind: types.Type) -> None:
        self.kind = kind
        super().__init__(name=f"Lanes({kind})")


DOUBLES = Lanes(types.float64)
WORDS = Lanes(types.uint64)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, _DOUBLES if lanes.kind == types.float64 else _WORDS)


class _Arithmetic(AbstractTemplate):
    """Lanes with lanes, or with one number that stands for sixteen equal ones."""

    def generic(self, arguments, keywords):
        others = [one for one in arguments if one != DOUBLES]
        if len(others) < len(arguments) == 2 and all(isinstance(o, types.Number) for o in others):
            return signature(DOUBLES, *arguments)
        return None


def _compile_operator(operation, instruction):
    infer_global(operation)(type("LanesArithmetic", (_Arithmetic,), {}))

    def generate(context, builder, signature, arguments):
        pairs = zip(signature.args, arguments, strict=True)
        return getattr(builder, instruction)(*(_widen(context, builder, *pair) for pair in pairs))

    for one, other in ((DOUBLES, DOUBLES), (DOUBLES, types.Number), (types.Number, DOUBLES)):
        lower_builtin(operation, one, other)(generate)


_compile_operator(operator.add, "fadd")
_compile_operator(operator.sub, "fsub")
_compile_operator(operator.mul, "fmul")
_compile_operator(operator.truediv, "fdiv")


@intrinsic
def spread(typing_context, value):
    """Return lanes that all hold one number."""

    def generate(context, builder, signature, arguments):
        return _widen(context, builder, signature.args[0], arguments[0])

    return DOUBLES(value), generate


@intrinsic
def no_bits(typing_context):
    """Return words without a bit set."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(_WORDS, [0] * LANES)

    return WORDS(), generate


@intrinsic
def pointer(typing_context, array):
    """Return where a flat array's numbers begin: handing that on costs no counting of references.

    The caller keeps the array. `at` and `load` take it in place of the array.
    """

    def generate(context, builder, signature, arguments):
        return _begin(context, builder, signature.args[0], arguments[0])

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def at(typing_context, array, index):
    """Return a number of a flat array; the index is 0 or more, which spares looking at its sign."""

    def generate(context, builder, signature, arguments):
        begin = _begin(context, builder, signature.args[0], arguments[0])
        return builder.load(builder.gep(begin, [arguments[1]]))

    return array.dtype(array, types.intp), generate


@intrinsic
def load(typing_context, array, index):
    """Return the sixteen numbers of a flat array that begin at an index."""
    lanes = WORDS if array.dtype == types.uint64 else DOUBLES

    def generate(context, builder, signature, arguments):
        loaded = builder.load(_lanes_at(context, builder, signature, arguments))
        loaded.align = 8
        return loaded

    return lanes(array, types.intp), generate


@intrinsic
def store(typing_context, array, index, lanes):
    """Write sixteen numbers into a flat array, from an index on."""

    def generate(context, builder, signature, arguments):
        stored = builder.store(arguments[2], _lanes_at(context, builder, signature, arguments))
        stored.align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@intrinsic
def choose_above(typing_context, one, other, above, otherwise):
    """Return, lane by lane, `above` where one > other and `otherwise` elsewhere."""

    def generate(context, builder, signature, arguments):
        mask = builder.fcmp_ordered(">", arguments[0], arguments[1])
        return builder.select(mask, arguments[2], arguments[3])

    return DOUBLES(DOUBLES, DOUBLES, DOUBLES, DOUBLES), generate


@intrinsic
def highest_before(typing_context, lanes, first):
    """Return, lane by lane, the highest of `first` and of all lanes before it."""

    def generate(context, builder, signature, arguments):
        values, first = arguments[0], _splat(builder, arguments[1], _DOUBLES)
        values = _moved(builder, values, first, 1)
        for step in (1, 2, 4, 8):
            values = _greater(builder, values, _moved(builder, values, first, step))
        return values

    return DOUBLES(DOUBLES, types.float64), generate


@intrinsic
def lane_of(typing_context, lanes, index):
    """Return the number in one lane."""

    def generate(context, builder, signature, arguments):
        return builder.extract_element(*arguments)

    return types.float64(DOUBLES, types.intp), generate


@intrinsic
def bits_above(typing_context, one, other):
    """Return one number whose bit i says whether lane i of `one` is above that of `other`."""

    def generate(context, builder, signature, arguments):
        mask = builder.fcmp_ordered(">", *arguments)
        return builder.zext(builder.bitcast(mask, ir.IntType(LANES)), _INT)

    return types.uint64(DOUBLES, DOUBLES), generate


@intrinsic
def push_sign(typing_context, words, values):
    """Return the words shifted up by one, with the sign bits of the values as the lowest."""

    def generate(context, builder, signature, arguments):
        words, values = arguments
        shift = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_WORDS, [_WORDS] * 3), f"llvm.fshl.v{LANES}i64"
        )
        one = ir.Constant(_WORDS, [1] * LANES)
        return builder.call(shift, [words, builder.bitcast(values, _WORDS), one])

    return WORDS(WORDS, DOUBLES), generate


@intrinsic
def in_order(typing_context, words, pushed):
    """Return words whose bit 0 is the first of `pushed` (1 to 64) bits; those never pushed are 0."""

    def generate(context, builder, signature, arguments):
        words, pushed = arguments
        rest = builder.sub(ir.Constant(_INT, 64), pushed)
        up = builder.shl(words, _splat(builder, rest, _WORDS))
        reverse = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_WORDS, [_WORDS]), f"llvm.bitreverse.v{LANES}i64"
        )
        return builder.call(reverse, [up])

    return WORDS(WORDS, types.intp), generate


@intrinsic
def total(typing_context, lanes):
    """Return the sum of the lanes, added in pairs of halves."""

    def generate(context, builder, signature, arguments):
        values, width = arguments[0], LANES
        while width > 1:
            width //= 2
            halves = [_some_of(builder, values, begin, width) for begin in (0, width)]
            values = builder.fadd(*halves)
        return builder.extract_element(values, ir.Constant(ir.IntType(32), 0))

    return types.float64(DOUBLES), generate


@intrinsic
def trailing_zeros(typing_context, word):
    """Return the position of the lowest bit that is set; 64 where none is."""
    return types.int64(types.uint64), _count_zeros("cttz")


@intrinsic
def leading_zeros(typing_context, word):
    """Return how many bits above the highest that is set are 0; 64 where none is set."""
    return types.int64(types.uint64), _count_zeros("ctlz")


@intrinsic
def bits_set(typing_context, word):
    """Return how many bits are set."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


def _count_zeros(instruction):
    def generate(context, builder, signature, arguments):
        return getattr(builder, instruction)(arguments[0], ir.Constant(ir.IntType(1), 0))

    return generate


def _widen(context, builder, kind, value):
    if kind == DOUBLES:
        return value
    return _splat(builder, context.cast(builder, value, kind, types.float64), _DOUBLES)


def _splat(builder, value, vector):
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, zero)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), lanes)


def _moved(builder, values, filling, by):
    """Return the lanes moved up by so many places, those below them filled."""
    chosen = [LANES + i if i < by else i - by for i in range(LANES)]
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), chosen)
    return builder.shuffle_vector(values, filling, mask)


def _greater(builder, one, other):
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def _some_of(builder, values, begin, width):
    chosen = list(range(begin, begin + width))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), width), chosen)
    return builder.shuffle_vector(values, values, mask)


def _lanes_at(context, builder, signature, arguments):
    vector = _WORDS if signature.args[0].dtype == types.uint64 else _DOUBLES
    first = builder.gep(_begin(context, builder, signature.args[0], arguments[0]), [arguments[1]])
    return builder.bitcast(first, vector.as_pointer())


def _begin(context, builder, kind, array):
    if isinstance(kind, types.CPointer):
        return array
    return context.make_array(kind)(context, builder, array).data
