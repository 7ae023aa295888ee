"""Move a network to channel blocks: NCHW becomes [N, C/c, H, W, c].

Every value has up to two forms, plain and blocked; each is made when somebody first wants it, so
that conversions stand only where a blocked chain begins or ends. Weights are packed here, in numpy.
Channels that do not fill a block are padded; what the padding holds is never looked at by a plain
value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax, te, tirx

from builder.compiler import provenance, tensors
from builder.compiler.kernels import (
    conv,
    depthwise,
    layernorm,
    matmul,
    pooling,
    softmax,
    winograd,
)
from builder.compiler.kernels.conv import round_up
from builder.compiler.kernels.window import Window, window

ANCHOR_PATTERN = 4
"""TVM's pattern of an operator that elementwise followers may be fused into."""
_INJECTIVE, _OPAQUE = 2, 8

_UNARY = frozenset(
    {
        "relax.nn.relu",
        "relax.nn.relu6",
        "relax.nn.leakyrelu",
        "relax.nn.gelu",
        "relax.nn.gelu_tanh",
        "relax.nn.silu",
        "relax.sigmoid",
        "relax.tanh",
        "relax.erf",
        "relax.exp",
        "relax.abs",
        "relax.negative",
        "relax.sqrt",
        "relax.clip",
    }
)
_BINARY = frozenset(
    {
        "relax.add",
        "relax.subtract",
        "relax.multiply",
        "relax.divide",
        "relax.maximum",
        "relax.minimum",
    }
)


@dataclass(frozen=True, slots=True)
class Blocked:
    """A value in channel blocks, and how many of its channels are real."""

    value: relax.Expr
    channels: int


def to_blocks(mod: tvm.IRModule, block: int, *, use_winograd: bool) -> tvm.IRModule:
    """Return ``mod`` with main's convolutions, pools and products over packed operands.

    ``block`` is the number of channels in a block, whole vectors of every CPU the code is for.
    """
    blocked = _Rewriter(mod, block, use_winograd).run()
    # The output is an alias until the next clean-up makes it the binding itself.
    return provenance.rename(blocked, provenance.attributed(blocked["main"], {}))


class _Rewriter:
    def __init__(self, mod: tvm.IRModule, block: int, use_winograd: bool) -> None:
        self._main = mod["main"]
        self._block = block
        self._use_winograd = use_winograd
        self._builder = relax.BlockBuilder(_without_main(mod))
        self._plain: dict[relax.Var, relax.Expr] = {}
        self._blocked: dict[relax.Var, Blocked] = {}
        self._hint = ""
        self._rules: Mapping[str, Callable[[relax.Var, relax.Call], relax.Expr | Blocked | None]]
        self._rules = {
            "relax.nn.conv2d": self._conv,
            "relax.nn.max_pool2d": self._max_pool,
            "relax.nn.avg_pool2d": self._average_pool,
            "relax.mean": self._mean,
            "relax.concat": self._concat,
            "relax.matmul": self._matmul,
            "relax.nn.softmax": self._softmax,
            "relax.nn.layer_norm": self._layer_norm,
            **dict.fromkeys(_UNARY, self._unary),
            **dict.fromkeys(_BINARY, self._binary),
        }

    def run(self) -> tvm.IRModule:
        main = self._main
        params = [relax.Var(param.name, param.ty) for param in main.params]
        self._plain.update(zip(main.params, params, strict=True))
        builder = self._builder
        with builder.function("main", params):
            with builder.dataflow():
                for binding in provenance.bindings(main):
                    self._rewrite(binding)
                result = self._in_plain(main.body.body)
                out = builder.emit_output(result)
            builder.emit_func_output(out)
        return builder.get()

    def _rewrite(self, binding: relax.Binding) -> None:
        var, value = binding.var, binding.value
        if isinstance(value, tvm.ir.GenericConst):
            self._plain[var] = value
            return
        self._hint = str(var.name)
        name = value.op.name if isinstance(value, relax.Call) and _is_op(value.op) else ""
        rule = self._rules.get(name)
        made = rule(var, value) if rule and _is_float32(var) else None
        if isinstance(made, Blocked):
            self._blocked[var] = made
            return
        plain = self._in_plain(value) if made is None else made
        self._plain[var] = plain if isinstance(plain, relax.Var) else self._emit(plain)

    # The two forms of a value.

    def _in_plain(self, value: relax.Expr) -> relax.Expr:
        """Return an expression of the old main over plain forms of the new one."""
        match value:
            case relax.Var():
                return self._plain_form(value)
            case relax.Tuple():
                return relax.Tuple([self._in_plain(item) for item in value.fields])
            case relax.TupleGetItem():
                return relax.TupleGetItem(self._in_plain(value.tuple_value), value.index)
            case relax.Call():
                arguments = [self._in_plain(item) for item in value.args]
                return relax.Call(value.op, arguments, value.attrs, value.ty_args)
        return value

    def _plain_form(self, var: relax.Var) -> relax.Expr:
        if var not in self._plain:
            made = self._blocked[var]
            unpack = _unblock(made.channels)
            self._plain[var] = self._emit_te(unpack, made.value, name="unblock", pattern=_INJECTIVE)
        return self._plain[var]

    def _blocked_form(self, var: relax.Var) -> Blocked:
        if var not in self._blocked:
            plain = self._plain[var]
            channels = _shape(plain)[1]
            made = self._emit_te(_block(self._block), plain, name="block", pattern=_INJECTIVE)
            self._blocked[var] = Blocked(made, channels)
        return self._blocked[var]

    def _value(self, expression: relax.Expr) -> npt.NDArray[Any] | None:
        """Return the value of a constant, or of a variable bound to one; None for others."""
        plain = self._plain.get(expression) if isinstance(expression, relax.Var) else expression
        return None if plain is None else tensors.value(plain)

    def _emit(self, value: relax.Expr) -> relax.Var:
        return self._builder.emit(value, self._hint)

    def _emit_te(
        self, compute: conv.Compute, *operands: relax.Expr, name: str, pattern: int
    ) -> Any:
        return self._builder.emit_te(
            compute,
            *operands,
            name_hint=self._hint,
            primfunc_name_hint=name,
            primfunc_attrs={"op_pattern": pattern},
        )

    # Rules: a new value, in blocks or plain; None leaves the operator to TVM.

    def _conv(self, _var: relax.Var, call: relax.Call) -> Blocked | None:
        data, weights = call.args[0], self._value(call.args[1])
        if (
            weights is None
            or call.attrs.data_layout != "NCHW"
            or call.attrs.kernel_layout != "OIHW"
        ):
            return None
        attrs, groups = call.attrs, int(call.attrs.groups)
        sliding = window(weights.shape[2:], attrs.strides, attrs.dilation, attrs.padding)
        out, each = weights.shape[:2]
        if groups > 1 and each == 1 and out == groups:
            return self._depthwise(data, weights, sliding)
        if groups > 1 and (out % (groups * self._block) or each % self._block):
            return None
        if self._suits_winograd(data, weights, sliding, groups):
            return self._winograd(data, weights, sliding)
        blocked = data in self._blocked or groups > 1
        source = self._blocked_form(data).value if blocked else self._plain_form(data)
        packed = conv.pack_weights(weights, groups, self._block, blocked_input=blocked)
        compute = conv.compute(sliding, groups, self._block)
        made = self._emit_te(
            compute, source, tensors.constant(packed), name="conv2d", pattern=ANCHOR_PATTERN
        )
        return Blocked(made, out)

    def _depthwise(self, data: relax.Var, weights: npt.NDArray[Any], sliding: Window) -> Blocked:
        packed = tensors.constant(depthwise.pack_weights(weights, self._block))
        source = self._blocked_form(data).value
        made = self._emit_te(
            depthwise.compute(sliding), source, packed, name="depthwise", pattern=ANCHOR_PATTERN
        )
        return Blocked(made, weights.shape[0])

    def _suits_winograd(
        self, data: relax.Var, weights: npt.NDArray[Any], sliding: Window, groups: int
    ) -> bool:
        """Winograd pays where its products are large enough to drown its transforms."""
        out, channels = weights.shape[:2]
        batch, _, height, width = _shape(data)
        small = Window(kernel=(3, 3), strides=(1, 1), dilations=(1, 1), padding=sliding.padding)
        return (
            self._use_winograd
            and sliding == small
            and groups == batch == 1
            and data in self._blocked
            and channels % self._block == 0
            and channels >= 32
            and out % (2 * self._block) == 0
            and min(sliding.output(height, width)) >= 7
        )

    def _winograd(self, data: relax.Var, weights: npt.NDArray[Any], sliding: Window) -> Blocked:
        _, _, height, width = _shape(data)
        extents = sliding.output(height, width)
        source = self._blocked_form(data).value
        points = self._emit_te(
            winograd.compute_in(sliding, *extents), source, name="winograd_in", pattern=_OPAQUE
        )
        packed = tensors.constant(winograd.transform_weights(weights, 2 * self._block))
        product = self._emit_te(
            winograd.compute_product, points, packed, name="winograd_product", pattern=_OPAQUE
        )
        made = self._emit_te(
            winograd.compute_out(*extents, self._block),
            product,
            name="winograd_out",
            pattern=ANCHOR_PATTERN,
        )
        return Blocked(made, weights.shape[0])

    def _unary(self, _var: relax.Var, call: relax.Call) -> Blocked | None:
        if call.args[0] not in self._blocked:
            return None
        data = self._blocked[call.args[0]]
        made = relax.Call(call.op, [data.value, *call.args[1:]], call.attrs)
        return Blocked(self._emit(made), data.channels)

    def _binary(self, _var: relax.Var, call: relax.Call) -> Blocked | None:
        left, right = call.args
        if not any(side in self._blocked for side in (left, right)):
            return None
        anchor = left if left in self._blocked else right
        sides = [self._operand(side, anchor) for side in (left, right)]
        if any(side is None for side in sides):
            return None
        made = relax.Call(call.op, sides, call.attrs)
        return Blocked(self._emit(made), self._blocked[anchor].channels)

    def _operand(self, side: relax.Expr, anchor: relax.Var) -> relax.Expr | None:
        """Return one side of a binary operator beside ``anchor``, blocked, where it can be."""
        value = self._value(side)
        if value is not None:
            return self._per_channel(value, _shape(anchor))
        if isinstance(side, relax.Var):
            if side in self._blocked and _is_per_channel(_shape(side), _shape(anchor)):
                return self._blocked[side].value
            return self._blocked_form(side).value if _shape(side) == _shape(anchor) else None
        return None

    def _per_channel(self, value: npt.NDArray[Any], anchor: tuple[int, ...]) -> relax.Expr | None:
        """Return a constant that is one number, or one a channel, in blocks."""
        if value.size == 1:
            return tensors.constant(value.reshape(()))
        shape = (1,) * (4 - value.ndim) + value.shape
        if shape != (1, anchor[1], 1, 1):
            return None
        # Ones: a padding channel must not become 0/0, and nobody looks at what it does become.
        full = np.ones(round_up(anchor[1], self._block), value.dtype)
        full[: anchor[1]] = value.reshape(-1)
        return tensors.constant(full.reshape(1, -1, 1, 1, self._block))

    def _max_pool(self, var: relax.Var, call: relax.Call) -> Blocked | None:
        attrs = call.attrs
        if call.args[0] not in self._blocked or attrs.layout != "NCHW":
            return None
        data = self._blocked[call.args[0]]
        sliding = window(attrs.pool_size, attrs.strides, attrs.dilation, attrs.padding)
        height, width = _shape(var)[2:]
        compute = pooling.compute_max(_reaching(sliding, data, height, width), height, width)
        made = self._emit_te(compute, data.value, name="max_pool", pattern=_OPAQUE)
        return Blocked(made, data.channels)

    def _average_pool(self, var: relax.Var, call: relax.Call) -> Blocked | None:
        attrs = call.attrs
        if call.args[0] not in self._blocked or attrs.layout != "NCHW":
            return None
        data = self._blocked[call.args[0]]
        sliding = window(attrs.pool_size, attrs.strides, attrs.dilation, attrs.padding)
        height, width = _shape(var)[2:]
        if sliding.dilations != (1, 1) or sliding.output(*_shape(data.value)[2:4]) != (
            height,
            width,
        ):
            return None
        compute = pooling.compute_average(
            sliding, height, width, count_padding=bool(attrs.count_include_pad)
        )
        made = self._emit_te(compute, data.value, name="average_pool", pattern=_OPAQUE)
        return Blocked(made, data.channels)

    def _mean(self, var: relax.Var, call: relax.Call) -> relax.Expr | Blocked | None:
        source = call.args[0]
        if source not in self._blocked or call.attrs.axis is None:
            return None
        axes = sorted(int(axis) % 4 for axis in call.attrs.axis)
        data = self._blocked[source]
        if axes != [2, 3]:
            return None
        made = Blocked(self._emit(relax.op.mean(data.value, [2, 3], keepdims=True)), data.channels)
        if bool(call.attrs.keepdims):
            return made
        flat = relax.op.reshape(made.value, (_shape(var)[0], -1))
        if data.channels % self._block:
            return None
        return self._emit(flat)

    def _concat(self, _var: relax.Var, call: relax.Call) -> Blocked | None:
        fields = call.args[0].fields if isinstance(call.args[0], relax.Tuple) else ()
        parts = [self._blocked.get(field) for field in fields if isinstance(field, relax.Var)]
        if int(call.attrs.axis) != 1 or len(parts) != len(fields) or not parts:
            return None
        if any(part is None or part.channels % self._block for part in parts):
            return None
        whole = [part for part in parts if part is not None]
        made = self._emit(relax.op.concat([part.value for part in whole], 1))
        return Blocked(made, sum(part.channels for part in whole))

    def _matmul(self, _var: relax.Var, call: relax.Call) -> relax.Expr | None:
        left, right = call.args
        weights = self._value(right)
        if isinstance(left, relax.Var) and weights is not None and weights.ndim == 2:
            columns = weights.shape[1]
            packed = matmul.pack_weights(weights, matmul.panel(columns, self._block))
            compute = matmul.compute_packed(columns)
            operands = (self._plain_form(left), tensors.constant(packed))
            return self._emit_te(compute, *operands, name="matmul", pattern=ANCHOR_PATTERN)
        if weights is not None or not all(isinstance(side, relax.Var) for side in (left, right)):
            return None
        if _shape(left)[:-2] != _shape(right)[:-2] or len(_shape(left)) < 3:
            return None
        compute = matmul.compute_batched(matmul.panel(_shape(right)[-1], self._block))
        operands = (self._plain_form(left), self._plain_form(right))
        return self._emit_te(compute, *operands, name="batch_matmul", pattern=ANCHOR_PATTERN)

    def _softmax(self, var: relax.Var, call: relax.Call) -> relax.Expr | None:
        shape = _shape(var)
        if int(call.attrs.axis) % len(shape) != len(shape) - 1 or shape[-1] < self._block:
            return None
        if len(shape) < 2:
            return None
        source = self._in_plain(call.args[0])
        return self._emit_te(softmax.compute(self._block), source, name="softmax", pattern=_OPAQUE)

    def _layer_norm(self, var: relax.Var, call: relax.Call) -> relax.Expr | None:
        shape = _shape(var)
        axes = [int(axis) % len(shape) for axis in call.attrs.axes]
        if axes != [len(shape) - 1] or shape[-1] % self._block or len(shape) < 2:
            return None
        compute = layernorm.compute(float(call.attrs.epsilon), self._block)
        operands = [self._in_plain(operand) for operand in call.args]
        return self._emit_te(compute, *operands, name="layer_norm", pattern=_OPAQUE)


def _without_main(mod: tvm.IRModule) -> tvm.IRModule:
    """Return the kernels that the importer itself wrote, for the new main to call."""
    return tvm.IRModule({v: f for v, f in mod.functions.items() if v.name_hint != "main"})


def _is_op(op: Any) -> bool:
    return isinstance(op, tvm.ir.Op)


def _is_float32(var: relax.Var) -> bool:
    return isinstance(var.ty, relax.TensorType) and str(var.ty.dtype) == "float32"


def _shape(value: relax.Expr) -> tuple[int, ...]:
    return tuple(int(extent) for extent in value.ty.shape)


def _is_per_channel(shape: tuple[int, ...], anchor: tuple[int, ...]) -> bool:
    """Tell whether a rank-4 shape broadcasts against ``anchor`` without touching the channels."""
    return (
        len(shape) == len(anchor) == 4
        and shape[1] == anchor[1]
        and all(a in (1, b) for a, b in zip(shape, anchor, strict=True))
    )


def _reaching(sliding: Window, data: Blocked, height: int, width: int) -> Window:
    """Widen the padding at the far edges until the last window fits: ceil mode reads past them."""
    tall, wide = _shape(data.value)[2:4]
    top, left, _, _ = sliding.padding
    (kh, kw), (sh, sw), (dh, dw) = sliding.kernel, sliding.strides, sliding.dilations
    bottom = (height - 1) * sh + (kh - 1) * dh + 1 - tall - top
    right = (width - 1) * sw + (kw - 1) * dw + 1 - wide - left
    return Window(
        kernel=sliding.kernel,
        strides=sliding.strides,
        dilations=sliding.dilations,
        padding=(top, left, max(bottom, 0), max(right, 0)),
    )


def _block(lanes: int) -> conv.Compute:
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


def _unblock(channels: int) -> conv.Compute:
    def of(data: te.Tensor) -> te.Tensor:
        batch, _, height, width, lanes = (int(extent) for extent in data.shape)
        return te.compute(
            (batch, channels, height, width),
            lambda n, c, y, x: data[n, c // lanes, y, x, c % lanes],
            name="unblock",
        )

    return of
