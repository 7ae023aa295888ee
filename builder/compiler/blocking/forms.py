"""The two forms of a value, plain and in channel blocks, and how new bindings are written.

Each form is made when somebody first wants it, so that conversions stand only where a blocked chain
begins or ends. Channels that do not fill a block are padded; what the padding holds is never looked
at by a plain value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
import tvm
from tvm import relax, te, tirx

from builder.compiler import provenance, tensors
from builder.compiler.kernels.conv import Compute, round_up

INJECTIVE = 2
"""TVM's pattern of an operator that only moves elements."""

ANCHOR = 4
"""TVM's pattern of an operator that elementwise followers may be fused into."""

OPAQUE = 8
"""TVM's pattern of an operator that nothing is fused with."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A value in channel blocks, and how many of its channels are real."""

    value: relax.Expr
    channels: int


@dataclass(slots=True, kw_only=True)
class Forms:
    """What every variable of the old main has become so far, and who makes and reads it there.

    ``block`` is the number of channels in a block; ``hint`` names what is emitted, and with it the
    ONNX nodes it comes from.
    """

    builder: relax.BlockBuilder
    block: int
    use_winograd: bool
    definitions: dict[relax.Var, relax.Expr]
    readers: dict[relax.Var, list[relax.Binding]]
    plain: dict[relax.Var, relax.Expr] = field(default_factory=dict)
    blocked: dict[relax.Var, Blocked] = field(default_factory=dict)
    hint: str = ""

    def in_plain(self, value: relax.Expr) -> relax.Expr:
        """Return an expression of the old main over plain forms of the new one."""
        match value:
            case relax.Var():
                return self.plain_form(value)
            case relax.Tuple():
                return relax.Tuple([self.in_plain(item) for item in value.fields])
            case relax.TupleGetItem():
                return relax.TupleGetItem(self.in_plain(value.tuple_value), value.index)
            case relax.Call():
                arguments = [self.in_plain(item) for item in value.args]
                return relax.Call(value.op, arguments, value.attrs, value.ty_args)
        return value

    def plain_form(self, var: relax.Var) -> relax.Expr:
        """Return the plain form of a variable of the old main."""
        if var not in self.plain:
            made = self.blocked[var]
            compute = unblock(0, made.channels)
            image = self.move(var, compute, made.value, name="unblock")
            self.plain[var] = image if len(shape(var)) == 4 else self._reshaped(var, image)
        return self.plain[var]

    def plain_image(self, var: relax.Var) -> relax.Expr:
        """Return the plain form as [N, C, H, W]: a sequence is an image of one row."""
        plain = self.plain_form(var)
        return plain if len(shape(var)) == 4 else self._reshaped(var, plain, image_shape(var))

    def _reshaped(
        self, var: relax.Var, value: relax.Expr, extents: tuple[int, ...] | None = None
    ) -> relax.Expr:
        made = relax.op.reshape(value, extents or shape(var))
        return self.builder.emit(made, provenance.of_value(var))

    def blocked_form(self, var: relax.Var) -> Blocked:
        """Return the blocked form of a variable that holds [N, C, H, W] or [N, C, W]."""
        if var not in self.blocked:
            source = self.plain_image(var)
            compute = _block(self.block)
            made = self.move(var, compute, source, name="block")
            self.blocked[var] = Blocked(made, shape(source)[1])
        return self.blocked[var]

    def value(self, expression: relax.Expr) -> npt.NDArray[Any] | None:
        """Return the value of a constant, or of a variable bound to one; None for others."""
        plain = self.plain.get(expression) if isinstance(expression, relax.Var) else expression
        return None if plain is None else tensors.value(plain)

    def emit(self, value: relax.Expr) -> relax.Var:
        """Bind a Relax expression."""
        return self.builder.emit(value, self.hint)

    def move(self, var: relax.Var, compute: Compute, source: relax.Expr, *, name: str) -> Any:
        """Bind a kernel that lays out the value of ``var`` anew.

        It is ``var``'s, whoever asked for it: what it holds is no result of the asking node.
        """
        of = provenance.of_value(var)
        return self.emit_te(compute, source, name=name, pattern=INJECTIVE, hint=of)

    def emit_te(
        self,
        compute: Compute,
        *operands: relax.Expr,
        name: str,
        pattern: int,
        hint: str | None = None,
    ) -> Any:
        """Bind a call of the kernel that ``compute`` describes."""
        return self.builder.emit_te(
            compute,
            *operands,
            name_hint=hint or self.hint,
            primfunc_name_hint=name,
            primfunc_attrs={"op_pattern": pattern},
        )


def readers_of(bindings: Iterable[relax.Binding]) -> dict[relax.Var, list[relax.Binding]]:
    """Return, for each variable, the bindings whose operator takes it as an argument."""
    readers: dict[relax.Var, list[relax.Binding]] = {}
    for binding in bindings:
        if isinstance(binding.value, relax.Call):
            for argument in binding.value.args:
                if isinstance(argument, relax.Var):
                    readers.setdefault(argument, []).append(binding)
    return readers


def is_operator(value: relax.Expr) -> bool:
    """Tell whether an expression calls a Relax operator, not a kernel."""
    return isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.Op)


def shape(value: relax.Expr) -> tuple[int, ...]:
    """Return the static shape of an expression."""
    return tuple(int(extent) for extent in value.ty.shape)


def image_shape(value: relax.Expr) -> tuple[int, ...]:
    """Return the shape of an image, or of a sequence as an image of one row."""
    return as_image(shape(value))


def as_image(extents: tuple[int, ...]) -> tuple[int, ...]:
    """Return [N, C, W] as [N, C, 1, W], and other extents as they are."""
    return (*extents[:2], 1, extents[2]) if len(extents) == 3 else extents


def _block(lanes: int) -> Compute:
    def of(data: te.Tensor) -> te.Tensor:
        batch, channels, height, width = (int(extent) for extent in data.shape)

        def element(n: Any, c: Any, y: Any, x: Any, v: Any) -> Any:
            value = data[n, c * lanes + v, y, x]
            if channels % lanes == 0:
                return value
            zero = tirx.const(0.0, data.dtype)
            return tirx.if_then_else(c * lanes + v < channels, value, zero)

        shape = (batch, round_up(channels, lanes) // lanes, height, width, lanes)
        return te.compute(shape, element, name="block")

    return of


def unblock(first: int, channels: int) -> Compute:
    """Return the TE that takes ``channels`` channels from ``first`` on out of their blocks."""

    def of(data: te.Tensor) -> te.Tensor:
        batch, _, height, width, lanes = (int(extent) for extent in data.shape)
        return te.compute(
            (batch, channels, height, width),
            lambda n, c, y, x: data[n, (c + first) // lanes, y, x, (c + first) % lanes],
            name="unblock",
        )

    return of
