"""Kernels written as loops, for what no element-by-element expression can say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

Body = Callable[..., None]


def kernel(
    body: Body,
    operands: Sequence[te.Tensor],
    results: Sequence[tuple[Sequence[int], str]],
    *,
    name: str,
) -> Any:
    """Return the tensors (shape and type given by ``results``) that ``body`` fills.

    ``body`` is called with one buffer for each operand and then for each result, to be read and
    written by index; what it writes in TVM's ``T`` becomes the kernel.
    """

    def generate(inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        with IRBuilder() as builder, T.seq_scope():
            body(*map(T.buffer_proxy, inputs), *map(T.buffer_proxy, outputs))
        return builder.get()

    shapes, dtypes = zip(*results, strict=True)
    return te.extern(
        [tuple(shape) for shape in shapes], list(operands), generate, name=name, dtype=list(dtypes)
    )
