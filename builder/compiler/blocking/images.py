"""Convolutions, pools and what else walks over [N, C, H, W]."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from tvm import relax

from builder.compiler import tensors
from builder.compiler.blocking.forms import (
    ANCHOR,
    INJECTIVE,
    OPAQUE,
    Blocked,
    Forms,
    shape,
    unblock,
)
from builder.compiler.kernels import channels, conv, depthwise, pooling, winograd
from builder.compiler.kernels.window import Window, window


def conv2d(forms: Forms, _var: relax.Var, call: relax.Call) -> Blocked | None:
    """Convolve with constant weights: depthwise, by Winograd or directly, in whole groups."""
    data, weights = call.args[0], forms.value(call.args[1])
    layouts = (call.attrs.data_layout, call.attrs.kernel_layout)
    if weights is None or layouts != ("NCHW", "OIHW") or not isinstance(data, relax.Var):
        return None
    attrs, groups = call.attrs, int(call.attrs.groups)
    sliding = window(weights.shape[2:], attrs.strides, attrs.dilation, attrs.padding)
    out, each = weights.shape[:2]
    if each == 1 and out == groups:
        return _depthwise(forms, data, weights, sliding)
    if _suits_winograd(forms, data, weights, sliding, groups):
        return _winograd(forms, data, weights, sliding)
    if groups == 1 and data not in forms.blocked:
        source = forms.plain_form(data)
        packed, compute = conv.pack_plain(weights, forms.block), conv.compute_plain(sliding)
    else:
        source = forms.blocked_form(data).value
        walk = channels.walk(shape(data)[1], out, groups, forms.block)
        packed, compute = channels.pack_weights(weights, walk), conv.compute(sliding, walk)
    made = forms.emit_te(compute, source, tensors.constant(packed), name="conv2d", pattern=ANCHOR)
    return Blocked(made, out)


def _depthwise(
    forms: Forms, data: relax.Var, weights: npt.NDArray[Any], sliding: Window
) -> Blocked:
    packed = tensors.constant(depthwise.pack_weights(weights, forms.block))
    source = forms.blocked_form(data).value
    made = forms.emit_te(
        depthwise.compute(sliding), source, packed, name="depthwise", pattern=ANCHOR
    )
    return Blocked(made, weights.shape[0])


def _suits_winograd(
    forms: Forms, data: relax.Var, weights: npt.NDArray[Any], sliding: Window, groups: int
) -> bool:
    """Winograd pays where its products are large enough to drown its transforms."""
    out, inputs = weights.shape[:2]
    batch, _, height, width = shape(data)
    small = Window(kernel=(3, 3), strides=(1, 1), dilations=(1, 1), padding=sliding.padding)
    return (
        forms.use_winograd
        and sliding == small
        and groups == batch == 1
        and data in forms.blocked
        and inputs % forms.block == 0
        and inputs >= 32
        and out % (2 * forms.block) == 0
        and min(sliding.output(height, width)) >= 7
    )


def _winograd(forms: Forms, data: relax.Var, weights: npt.NDArray[Any], sliding: Window) -> Blocked:
    _, _, height, width = shape(data)
    extents = sliding.output(height, width)
    source = forms.blocked_form(data).value
    points = forms.emit_te(
        winograd.compute_in(sliding, *extents), source, name="winograd_in", pattern=OPAQUE
    )
    packed = tensors.constant(winograd.transform_weights(weights, 2 * forms.block))
    product = forms.emit_te(
        winograd.compute_product, points, packed, name="winograd_product", pattern=OPAQUE
    )
    made = forms.emit_te(
        winograd.compute_out(*extents, forms.block),
        product,
        name="winograd_out",
        pattern=ANCHOR,
    )
    return Blocked(made, weights.shape[0])


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


def mean(forms: Forms, var: relax.Var, call: relax.Call) -> relax.Expr | Blocked | None:
    """Average whole images (global average pooling)."""
    source = call.args[0]
    if source not in forms.blocked or call.attrs.axis is None:
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
    parts = [forms.blocked.get(field) for field in fields if isinstance(field, relax.Var)]
    if int(call.attrs.axis) != 1 or len(parts) != len(fields) or not parts:
        return None
    if any(part is None or part.channels % forms.block for part in parts):
        return None
    whole = [part for part in parts if part is not None]
    made = forms.emit(relax.op.concat([part.value for part in whole], 1))
    return Blocked(made, sum(part.channels for part in whole))


def channel_slice(forms: Forms, _var: relax.Var, call: relax.Call) -> relax.Expr | None:
    """Take some channels straight out of their blocks."""
    data, *bounds = call.args
    numbers = [[int(number) for number in bound.fields] for bound in bounds]
    if data not in forms.blocked or numbers[0] != [1] or numbers[3:] not in ([], [[1]]):
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
