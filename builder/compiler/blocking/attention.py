"""Find softmax(Q K^T) V, and make one kernel of it.

What lies between the products may scale the scores and add biases to them, masks among those.
Views of the operands, such as the heads' transposes, are read through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm import relax, te

from builder.compiler import provenance, tensors
from builder.compiler.blocking import views
from builder.compiler.blocking.forms import OPAQUE, Forms, is_operator, shape
from builder.compiler.kernels import attention

_HIDES = -1e4
"""A score that this or less is put in place of counts for nothing: adding it does the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bias:
    """What is added to the scores: it broadcasts against ``shape``, a view of them by ``moves``."""

    value: relax.Expr
    shape: tuple[int, ...]
    moves: tuple[views.Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    """A variable on the way from a softmax down to its product, and what is done to it above."""

    var: relax.Var
    scale: float = 1.0
    biases: tuple[_Bias, ...] = ()
    moves: tuple[views.Move, ...] = ()
    steps: tuple[relax.Var, ...] = ()


def attended(forms: Forms, var: relax.Var) -> relax.Expr | None:
    """Return the attention that ``var``, a product, ends; None where it ends none."""
    rank = len(shape(var))
    return _kernel(forms, var, tuple(range(rank)), (var,))


def transposed(forms: Forms, var: relax.Var, call: relax.Call) -> relax.Expr | None:
    """Return an attention written in the order that a transpose of it asks for."""
    product = call.args[0]
    rank = len(shape(var))
    order = views.permutation(call, rank)
    if not isinstance(product, relax.Var) or order[-1] != rank - 1:
        return None
    if len(forms.readers.get(product, ())) != 1:
        return None
    return _kernel(forms, product, order, (product, var))


def _kernel(
    forms: Forms, var: relax.Var, order: tuple[int, ...], ends: tuple[relax.Var, ...]
) -> relax.Expr | None:
    product = _operator(forms, var, "relax.matmul")
    if product is None:
        return None
    powers, values = product.args
    softmax = _operator(forms, powers, "relax.nn.softmax")
    if softmax is None or len(forms.readers[powers]) != 1:
        return None
    scores = _scores(forms, softmax)
    if scores is None or not _fits(forms, (*forms.definitions[scores.var].args, values), softmax):
        return None
    forms.hint = provenance.joined((*reversed(scores.steps), scores.var, powers, *ends))
    return _emitted(forms, scores, values, order)


def _operator(forms: Forms, var: relax.Expr | None, name: str) -> relax.Call | None:
    value = forms.definitions.get(var) if isinstance(var, relax.Var) else None
    return value if value is not None and is_operator(value) and value.op.name == name else None


def _fits(forms: Forms, operands: Sequence[relax.Expr], softmax: relax.Call) -> bool:
    """Tell whether a tile of rows pays, and whether every operand has the same batch."""
    *lead, rows, keys = shape(softmax)
    return (
        len(lead) > 0
        and int(softmax.attrs.axis) % (len(lead) + 2) == len(lead) + 1
        and rows >= attention.ROWS
        and keys >= forms.block
        and all(isinstance(operand, relax.Var) for operand in operands)
        and all(list(shape(operand)[:-2]) == lead for operand in operands)
    )


def _scores(forms: Forms, softmax: relax.Call) -> _Scores | None:
    """Walk from a softmax down to the product under it; None where something else is there."""
    if not isinstance(softmax.args[0], relax.Var):
        return None
    scores: _Scores | None = _Scores(var=softmax.args[0])
    while scores is not None and len(forms.readers.get(scores.var, ())) == 1:
        if _operator(forms, scores.var, "relax.matmul") is not None:
            return scores if shape(scores.var) == shape(softmax) else None
        scores = _below(forms, scores)
    return None


def _below(forms: Forms, scores: _Scores) -> _Scores | None:
    """Take one step down: through a factor, a reshape that keeps the rows, a bias or a mask."""
    value = forms.definitions.get(scores.var)
    if value is None or not is_operator(value):
        return None
    steps = (*scores.steps, scores.var)
    factor = views.scale_of(forms, value)
    if factor is not None:
        return replace(scores, var=value.args[0], scale=scores.scale * factor, steps=steps)
    if value.op.name == "relax.reshape":
        before, after = shape(value.args[0]), shape(value)
        if before[-2:] != after[-2:]:
            return None
        moves = (*scores.moves, views.reshaped(before, after))
        return replace(scores, var=value.args[0], moves=moves, steps=steps)
    added = _added(forms, value)
    scaled = _scaled(forms, added[1], scores.scale) if added is not None else None
    if added is None or scaled is None:
        return None
    bias = _Bias(value=scaled, shape=shape(value), moves=scores.moves)
    return replace(scores, var=added[0], biases=(*scores.biases, bias), steps=steps)


def _added(forms: Forms, value: relax.Call) -> tuple[relax.Var, relax.Expr] | None:
    """Return (scores, bias) of a call that adds a bias, or masks by a constant."""
    if value.op.name == "relax.add":
        for var, bias in (value.args, reversed(value.args)):
            if _is_scores(forms, var, value):
                return var, bias
    return _masked(forms, value) if value.op.name == "relax.where" else None


def _is_scores(forms: Forms, var: relax.Expr, value: relax.Call) -> bool:
    is_variable = isinstance(var, relax.Var) and forms.value(var) is None
    return is_variable and shape(var) == shape(value)


def _masked(forms: Forms, value: relax.Call) -> tuple[relax.Var, relax.Expr] | None:
    """Return (scores, bias) of a choice between scores and one very negative number."""
    chosen, first, second = value.args
    mask = forms.value(chosen)
    for var, number, hidden_where in ((first, second, False), (second, first, True)):
        hidden = forms.value(number)
        if mask is None or hidden is None or hidden.size != 1 or not _is_scores(forms, var, value):
            continue
        if hidden.reshape(()) <= _HIDES:
            bias = np.where(mask == hidden_where, hidden.reshape(()), np.float32(0))
            return var, tensors.constant(bias.astype(np.float32))
    return None


def _scaled(forms: Forms, bias: relax.Expr, scale: float) -> relax.Expr | None:
    """Return a bias times what its sum with the scores is scaled by; None where it cannot be."""
    value = forms.value(bias)
    if value is not None:
        return tensors.constant(np.ascontiguousarray(value * np.float32(scale)))
    return bias if scale == 1.0 and isinstance(bias, relax.Var) else None


def _emitted(
    forms: Forms, scores: _Scores, values: relax.Var, order: tuple[int, ...]
) -> relax.Expr:
    *lead, rows, keys = shape(scores.var)
    operands = forms.definitions[scores.var].args
    seen = [views.view(forms, operand) for operand in operands]
    seen.append(views.view(forms, values, scaled=False))
    biases = _with_end(scores.biases, keys, forms.block)
    one = attention.Attention(
        lead=tuple(lead),
        rows=rows,
        depth=shape(operands[0])[-1],
        keys=keys,
        columns=shape(values)[-1],
        scale=scores.scale * seen[0].factor * seen[1].factor,
        reads=tuple(_view_at(each) for each in seen),
        biases_at=tuple(_bias_at(bias) for bias in biases),
        order=order,
    )
    arguments = [forms.plain_form(each.source) for each in seen]
    arguments += [_padded(forms, bias.value, keys) for bias in biases]
    compute = attention.compute(one, forms.block)
    return forms.emit_te(compute, *arguments, name="attention", pattern=OPAQUE)


def _view_at(view: views.View) -> attention.Read:
    return lambda tensor, at: tensor[view.at(at)]


def _bias_at(bias: _Bias) -> attention.Read:
    extents = shape(bias.value)

    def read(tensor: te.Tensor, at: attention.Index) -> Any:
        for move in bias.moves:
            at = move(at)
        at = at[len(at) - len(extents) :]
        return tensor[tuple(0 if n == 1 else i for i, n in zip(at, extents, strict=True))]

    return read


def _with_end(biases: tuple[_Bias, ...], keys: int, block: int) -> tuple[_Bias, ...]:
    """Return the biases, and one more where none tells the keys from what pads them."""
    if attention.padded_keys(keys, block) == keys or any(
        shape(bias.value)[-1:] == (keys,) for bias in biases
    ):
        return biases
    nothing = tensors.constant(np.zeros(keys, np.float32))
    return (*biases, _Bias(value=nothing, shape=(keys,), moves=()))


def _padded(forms: Forms, bias: relax.Expr, keys: int) -> relax.Expr:
    """Return a bias that hides what pads the keys."""
    extents, value = shape(bias), forms.value(bias)
    padding = attention.padded_keys(keys, forms.block) - keys
    if padding == 0 or extents[-1:] != (keys,):
        return bias if value is not None else forms.plain_form(bias)
    widths = [(0, 0)] * (len(extents) - 1) + [(0, padding)]
    if value is not None:
        return tensors.constant(np.pad(value, widths, constant_values=-np.inf))
    flat = [number for pair in widths for number in pair]
    return forms.emit(relax.op.nn.pad(forms.plain_form(bias), flat, "constant", -math.inf))
