"""Sum as additions, which fuse; the stock conversion stacks its inputs."""

from __future__ import annotations

from functools import reduce

from tvm import relax

from builder.compiler.operators.node import Node


def total(node: Node) -> relax.Expr:
    """Convert Sum of one tensor or more."""
    inputs = [node.required(position) for position in range(len(node.inputs))]
    return reduce(relax.op.add, inputs)
