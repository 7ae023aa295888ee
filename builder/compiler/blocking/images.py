"""Pools and what else walks over [N, C, H, W]."""

from __future__ import annotations

from tvm import relax

from builder.compiler.blocking.entering import enters_cheaply, in_blocks
from builder.compiler.blocking.forms import (
    INJECTIVE,
    OPAQUE,
    Blocked,
    Forms,
    shape,
    unblock,
)
from builder.compiler.kernels import local_response as responding
from builder.compiler.kernels import pooling
from builder.compiler.kernels.window import Window, window
from builder.compiler.operators.responses import response


def max_pool(forms: Forms, var: relax.Var, call: relax.Call) -> Blocked | None:
    """Pool by maximum; windows may reach past the far edges (ceil mode)."""
    if not _pools_blocks(forms, call):
        return None
    data, sliding = forms.blocked[call.args[0]], _pool_window(call)
    height, width = shape(var)[2:]
    compute = pooling.compute_max(_reaching(sliding, data, height, width), height, width)
    made = forms.emit_te(compute, data.value, name="max_pool", pattern=OPAQUE)
    return Blocked(made, data.channels)


def average_pool(forms: Forms, var: relax.Var, call: relax.Call) -> Blocked | None:
    """Pool by mean; ceil mode and dilation are left to TVM."""
    if not _pools_blocks(forms, call):
        return None
    data, sliding = forms.blocked[call.args[0]], _pool_window(call)
    extents = shape(var)[2:]
    if sliding.dilations != (1, 1) or sliding.output(*shape(data.value)[2:4]) != extents:
        return None
    counted = bool(call.attrs.count_include_pad)
    compute = pooling.compute_average(sliding, *extents, count_padding=counted)
    made = forms.emit_te(compute, data.value, name="average_pool", pattern=OPAQUE)
    return Blocked(made, data.channels)


def _pools_blocks(forms: Forms, call: relax.Call) -> bool:
    return call.args[0] in forms.blocked and call.attrs.layout == "NCHW"


def _pool_window(call: relax.Call) -> Window:
    attrs = call.attrs
    return window(attrs.pool_size, attrs.strides, attrs.dilation, attrs.padding)


def local_response(forms: Forms, _var: relax.Var, call: relax.Call) -> Blocked | None:
    """Scale by neighbour channels, no further than a block away; padding stays finite."""
    found, data = response(call), forms.blocked.get(call.args[0])
    if data is None or found.size > forms.block or found.bias <= 0.0 or found.alpha < 0.0:
        return None
    compute = responding.compute(found, data.channels)
    made = forms.emit_te(compute, data.value, name="local_response", pattern=OPAQUE)
    return Blocked(made, data.channels)


def mean(forms: Forms, var: relax.Var, call: relax.Call) -> relax.Expr | Blocked | None:
    """Average whole images (global average pooling)."""
    source = call.args[0]
    if source not in forms.blocked or len(shape(source)) != 4 or call.attrs.axis is None:
        return None
    data, keeps = forms.blocked[source], bool(call.attrs.keepdims)
    whole_images = sorted(int(axis) % 4 for axis in call.attrs.axis) == [2, 3]
    if not whole_images or (not keeps and data.channels % forms.block):
        return None
    made = forms.emit(relax.op.mean(data.value, [2, 3], keepdims=True))
    if keeps:
        return Blocked(made, data.channels)
    return forms.emit(relax.op.reshape(made, (shape(var)[0], -1)))


def concat(forms: Forms, _var: relax.Var, call: relax.Call) -> Blocked | None:
    """Join channels where every part fills its blocks."""
    fields = call.args[0].fields if isinstance(call.args[0], relax.Tuple) else ()
    if int(call.attrs.axis) != 1 or not fields:
        return None
    if not all(enters_cheaply(forms, field) for field in fields):
        return None
    parts = [in_blocks(forms, field) for field in fields]
    if any(part.channels % forms.block for part in parts):
        return None
    made = forms.emit(relax.op.concat([part.value for part in parts], 1))
    return Blocked(made, sum(part.channels for part in parts))


def resize(forms: Forms, var: relax.Var, call: relax.Call) -> Blocked | None:
    """Resize images channel block by channel block."""
    attrs = call.attrs
    if attrs.layout != "NCHW" or not enters_cheaply(forms, call.args[0]):
        return None
    data = in_blocks(forms, call.args[0])
    made = relax.op.image.resize2d(
        data.value,
        shape(var)[2:],
        roi=[float(bound) for bound in attrs.roi],
        layout=f"NCHW{forms.block}c",
        method=attrs.method,
        coordinate_transformation_mode=attrs.coordinate_transformation_mode,
        rounding_method=attrs.rounding_method,
        cubic_alpha=float(attrs.cubic_alpha),
        cubic_exclude=int(attrs.cubic_exclude),
        extrapolation_value=float(attrs.extrapolation_value),
    )
    return Blocked(forms.emit(made), data.channels)


def channel_slice(forms: Forms, _var: relax.Var, call: relax.Call) -> relax.Expr | None:
    """Take some channels straight out of their blocks."""
    data, *bounds = call.args
    numbers = [[int(number) for number in bound.fields] for bound in bounds]
    if (
        data not in forms.blocked
        or len(shape(data)) != 4
        or numbers[0] != [1]
        or numbers[3:] not in ([], [[1]])
    ):
        return None
    [start], [stop] = numbers[1:3]
    if not 0 <= start < stop <= forms.blocked[data].channels:
        return None
    compute = unblock(start, stop - start)
    return forms.emit_te(compute, forms.blocked[data].value, name="unblock", pattern=INJECTIVE)


def _reaching(sliding: Window, data: Blocked, height: int, width: int) -> Window:
    """Widen the padding at the far edges until the last window fits: ceil mode reads past them."""
    tall, wide = shape(data.value)[2:4]
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
