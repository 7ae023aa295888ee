"""Convolutions of images and sequences."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from tvm import relax

from builder.compiler import provenance, tensors
from builder.compiler.blocking.entering import in_blocks
from builder.compiler.blocking.forms import (
    ANCHOR,
    INJECTIVE,
    OPAQUE,
    Blocked,
    Forms,
    image_shape,
    shape,
)
from builder.compiler.kernels import channels, conv, depthwise, transposed, winograd
from builder.compiler.kernels.window import Window, window

_SMALL_IMAGE = 8
"""Up to here F(4x4) would load more weights than it saves products."""


def conv2d(forms: Forms, _var: relax.Var, call: relax.Call) -> relax.Expr | Blocked | None:
    """Convolve images with constant weights; of constant images the result is known here."""
    data, weights = call.args[0], forms.value(call.args[1])
    layouts = (call.attrs.data_layout, call.attrs.kernel_layout)
    if weights is None or layouts != ("NCHW", "OIHW"):
        return None
    attrs = call.attrs
    sliding = window(weights.shape[2:], attrs.strides, attrs.dilation, attrs.padding)
    known = forms.value(data)
    if known is not None:
        return tensors.constant(conv.of_known(known, weights, sliding, int(attrs.groups)))
    if not isinstance(data, relax.Var):
        return None
    return _convolution(forms, data, weights, sliding, int(attrs.groups))


def conv1d(forms: Forms, _var: relax.Var, call: relax.Call) -> Blocked | None:
    """Convolve sequences as images of one row."""
    data, weights = call.args[0], forms.value(call.args[1])
    layouts = (call.attrs.data_layout, call.attrs.kernel_layout)
    if weights is None or layouts != ("NCW", "OIW") or not isinstance(data, relax.Var):
        return None
    attrs = call.attrs
    left, right = attrs.padding
    sliding = window(
        (1, weights.shape[2]), (1, *attrs.strides), (1, *attrs.dilation), (0, left, 0, right)
    )
    return _convolution(forms, data, weights[:, :, None, :], sliding, int(attrs.groups))


def conv2d_transpose(forms: Forms, var: relax.Var, call: relax.Call) -> Blocked | None:
    """Convolve images transposed: all phases of the stride as one convolution."""
    data, weights, attrs = call.args[0], forms.value(call.args[1]), call.attrs
    layouts = (attrs.data_layout, attrs.kernel_layout)
    if weights is None or layouts != ("NCHW", "IOHW") or not isinstance(data, relax.Var):
        return None
    if int(attrs.groups) != 1 or {int(step) for step in attrs.dilation} != {1}:
        return None
    down, across = (
        transposed.Phases(
            kernel=weights.shape[2 + axis],
            stride=int(attrs.strides[axis]),
            padding=int(attrs.padding[axis]),
            input=shape(data)[2 + axis],
            output=shape(var)[2 + axis],
        )
        for axis in range(2)
    )
    if min(down.first, across.first) > 0 or min(down.after, across.after) < 0:
        return None
    phases = transposed.phase_weights(weights, down, across, forms.block)
    made = _convolution(forms, data, phases, transposed.window(down, across), 1)
    compute = transposed.interleave(down, across)
    image = forms.emit_te(compute, made.value, name="interleave", pattern=INJECTIVE)
    return Blocked(image, weights.shape[1])


def _convolution(
    forms: Forms, data: relax.Var, weights: npt.NDArray[Any], sliding: Window, groups: int
) -> Blocked:
    """Convolve by OIHW weights: depthwise, by Winograd or directly."""
    out, each = weights.shape[:2]
    if each == 1 and out % groups == 0 and groups > 1:
        return _depthwise(forms, data, weights, sliding, out // groups)
    if _suits_winograd(forms, data, weights, sliding, groups):
        return _winograd(forms, data, weights, sliding)
    if groups == 1 and each < forms.block and data not in forms.blocked:
        packed, compute = conv.pack_plain(weights, forms.block), conv.compute_plain(sliding)
        operands = (forms.plain_image(data), tensors.constant(packed))
    else:
        compute, operands = _blocked_operands(forms, data, weights, sliding, groups)
    made = forms.emit_te(compute, *operands, name="conv2d", pattern=ANCHOR)
    return Blocked(made, out)


def _blocked_operands(
    forms: Forms, data: relax.Var, weights: npt.NDArray[Any], sliding: Window, groups: int
) -> tuple[conv.Compute, tuple[relax.Expr, ...]]:
    """Return what a convolution of blocks computes and of what: also of sums at boundaries."""
    source = in_blocks(forms, data).value
    walk = channels.walk(image_shape(data)[1], weights.shape[0], groups, forms.block)
    operands = (source, tensors.constant(channels.pack_weights(weights, walk)))
    if groups == 1 or not walk.has_boundaries:
        return conv.compute(sliding, walk), operands
    behind = tensors.constant(channels.pack_boundaries(weights, walk))
    compute = conv.compute(sliding, walk.at_boundaries())
    apart = forms.emit_te(compute, source, behind, name="conv2d_boundaries", pattern=OPAQUE)
    return conv.compute_with_boundaries(sliding, walk), (*operands, apart)


def _depthwise(
    forms: Forms, data: relax.Var, weights: npt.NDArray[Any], sliding: Window, multiplier: int
) -> Blocked:
    """Convolve each channel alone; of several outputs a channel each has a copy of it."""
    packed = tensors.constant(depthwise.pack_weights(weights, forms.block))
    source = in_blocks(forms, data).value
    if multiplier > 1:
        compute = depthwise.repeat(weights.shape[0], multiplier)
        copies, hint = "repeat_channels", provenance.NOBODY  # of no node's shape, but by chance
        source = forms.emit_te(compute, source, name=copies, pattern=INJECTIVE, hint=hint)
    made = forms.emit_te(
        depthwise.compute(sliding), source, packed, name="depthwise", pattern=ANCHOR
    )
    return Blocked(made, weights.shape[0])


def _suits_winograd(
    forms: Forms, data: relax.Var, weights: npt.NDArray[Any], sliding: Window, groups: int
) -> bool:
    """Winograd pays where its products are large enough to drown its transforms."""
    out, inputs = weights.shape[:2]
    batch, _, height, width = image_shape(data)
    small = Window(kernel=(3, 3), strides=(1, 1), dilations=(1, 1), padding=sliding.padding)
    return (
        forms.use_winograd
        and sliding == small
        and groups == batch == 1
        and data in forms.blocked
        and inputs % forms.block == 0
        and inputs >= 32
        and out % forms.block == 0
        and out >= 32
        and min(sliding.output(height, width)) >= 7
    )


def _winograd(forms: Forms, data: relax.Var, weights: npt.NDArray[Any], sliding: Window) -> Blocked:
    """Convolve in one kernel; an image of a single band in two, to be split over cores."""
    out, inputs = weights.shape[:2]
    _, _, height, width = image_shape(data)
    extents = sliding.output(height, width)
    transform = winograd.F4 if min(extents) > _SMALL_IMAGE else winograd.F2
    bands = winograd.bands(transform, *extents, inputs)
    panel = forms.block * (2 if out % (2 * forms.block) == 0 else 1)
    packed = tensors.constant(winograd.transform_weights(transform, weights, panel))
    source = in_blocks(forms, data).value
    compute = winograd.compute(bands, sliding)
    if bands.count == 1:
        source = forms.emit_te(
            winograd.compute_in(bands, sliding), source, name="winograd_in", pattern=OPAQUE
        )
        compute = winograd.compute_out(bands)
    made = forms.emit_te(compute, source, packed, name="winograd", pattern=ANCHOR)
    return Blocked(made, out)
