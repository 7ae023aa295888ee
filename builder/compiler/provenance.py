"""Which ONNX nodes a Relax binding came from, carried in the binding's own name.

TVM's passes keep variable names where they keep bindings, but drop spans and attributes. So a
binding that computes nodes 3, 4 and 5 is named ``onnx_3_4_5``; fusion is the one place where names
are lost, and ``after_fusion`` restores them by matching computations before and after it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tvm
from tvm import relax

_PREFIX = "onnx_"

Nodes = tuple[int, ...]
"""Positions in the prepared graph's node list."""

NOBODY = "onnx_n"
"""The name of a binding that computes no node: an input of the model in another layout."""


def nodes_of(var: relax.Var) -> Nodes:
    """Return the ONNX nodes named by a variable; empty where it carries none."""
    name = str(var.name)
    if not name.startswith(_PREFIX):
        return ()
    # What follows the "n" only keeps names apart: onnx_3_4_n7 is the seventh binding renamed.
    listed = name.removeprefix(_PREFIX).split("n", 1)[0]
    return tuple(int(part) for part in listed.split("_") if part)


def of_value(var: relax.Var) -> str:
    """Return the name of a binding that only moves the value of ``var``: its nodes, no others."""
    return str(var.name) if nodes_of(var) else NOBODY


def joined(variables: Iterable[relax.Var]) -> str:
    """Return the name of a variable that computes what all of ``variables`` do."""
    nodes = dict.fromkeys(node for var in variables for node in nodes_of(var))
    return _PREFIX + "_".join(map(str, nodes))


def rename(mod: tvm.IRModule, nodes: Mapping[relax.Var, Nodes]) -> tvm.IRModule:
    """Return ``mod`` with main's variables renamed after their nodes."""
    mod = mod.clone()
    mod["main"] = _Renamer(nodes).visit_expr(mod["main"])
    return mod


@relax.expr_functor.mutator
class _Renamer(relax.PyExprMutator):  # type: ignore[misc]
    def __init__(self, nodes: Mapping[relax.Var, Nodes]) -> None:
        super().__init__()
        self._nodes = nodes
        self._count = 0

    def visit_var_def_(self, var: relax.Var) -> relax.Var:
        return self._renamed(var, relax.Var)

    def visit_dataflow_var_def_(self, var: relax.DataflowVar) -> relax.Var:
        return self._renamed(var, relax.DataflowVar)

    def _renamed(self, var: relax.Var, kind: type[relax.Var]) -> relax.Var:
        nodes = self._nodes.get(var)
        if not nodes:
            return var
        self._count += 1
        fresh = kind(_PREFIX + "_".join(map(str, nodes)) + f"_n{self._count}", var.ty)
        self.set_var_remap(var, fresh)
        return fresh


def bindings(function: relax.Function) -> Iterator[relax.Binding]:
    """Yield the bindings of a function in order, dataflow blocks or not."""
    for block in function.body.blocks:
        yield from block.bindings


def attributed(
    function: relax.Function, known: Mapping[relax.Var, Nodes]
) -> dict[relax.Var, Nodes]:
    """Extend ``known`` to the other bindings.

    An alias belongs to what it renames (an output takes the place of what it shows); any other
    unnamed binding to the next known one after it, but one that is nobody's.
    """
    result: dict[relax.Var, Nodes] = {}
    pending: list[relax.Var] = []
    for binding in bindings(function):
        if str(binding.var.name).startswith(NOBODY):
            continue
        pending.append(binding.var)
        nodes = known.get(binding.var) or nodes_of(binding.var)
        if isinstance(binding.value, relax.Var):
            nodes = nodes or result.get(binding.value, ())
        if nodes:
            result.update(dict.fromkeys(pending, nodes))
            pending.clear()
    return result


def after_fusion(before: tvm.IRModule, after: tvm.IRModule) -> tvm.IRModule:
    """Return ``after`` (FuseOps of ``before``) with main's variables named after all they compute.

    Each grouped call is unfolded and matched, computation by computation, with the bindings it was
    made of: same callee on the same operands. Equal computations are matched in order.
    """
    origin = _Unfolding(before)
    named = {
        binding.var: nodes
        for binding in bindings(after["main"])
        if (nodes := origin.nodes(binding, after))
    }
    return rename(after, named)


class _Unfolding:
    """The bindings of an unfused main, to be found again by what they compute."""

    def __init__(self, before: tvm.IRModule) -> None:
        main = before["main"]
        known = attributed(main, {})
        self._waiting: dict[Any, deque[tuple[relax.Var, Nodes]]] = defaultdict(deque)
        for binding in bindings(main):
            computation = _computation(binding.value, {})
            self._waiting[computation].append((binding.var, known.get(binding.var, ())))
        self._original: dict[relax.Var, Any] = {param: param for param in main.params}

    def nodes(self, binding: relax.Binding, after: tvm.IRModule) -> Nodes:
        """Return the nodes behind one binding of the fused main; remember what it stands for."""
        value = binding.value
        group = _group(value, after)
        if group is None:
            self._original[binding.var], nodes = self._match(value, self._original)
            return nodes
        inner = {
            param: _operand(argument, self._original)
            for param, argument in zip(group.params, value.args, strict=True)
        }
        gathered: list[int] = []
        for part in bindings(group):
            inner[part.var], nodes = self._match(part.value, inner)
            gathered += nodes
        self._original[binding.var] = _operand(group.body.body, inner)
        return tuple(dict.fromkeys(gathered))

    def _match(self, value: relax.Expr, env: Mapping[relax.Var, Any]) -> tuple[Any, Nodes]:
        if isinstance(value, relax.Var):
            return _operand(value, env), ()
        computation = _computation(value, env)
        waiting = self._waiting.get(computation)
        return waiting.popleft() if waiting else (computation, ())


def _group(value: relax.Expr, mod: tvm.IRModule) -> relax.Function | None:
    if isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.GlobalVar):
        callee = mod[value.op]
        return callee if isinstance(callee, relax.Function) else None
    return None


def _operand(value: Any, env: Mapping[relax.Var, Any]) -> Any:
    """Return something hashable that is equal for equal operands."""
    if isinstance(value, relax.Var):
        return env.get(value, value)
    if isinstance(value, relax.Tuple | tvm.ir.Array):
        return tuple(_operand(field, env) for field in getattr(value, "fields", value))
    if isinstance(value, tvm.ir.GenericConst):
        return ("constant", value)
    return str(value)


def _computation(value: relax.Expr, env: Mapping[relax.Var, Any]) -> Any:
    if not isinstance(value, relax.Call):
        return (type(value).__name__, *_fields(value, env))
    callee = value.op.name_hint if isinstance(value.op, tvm.ir.GlobalVar) else value.op.name
    return (callee, str(value.attrs), tuple(_operand(argument, env) for argument in value.args))


def _fields(value: relax.Expr, env: Mapping[relax.Var, Any]) -> Sequence[Any]:
    if isinstance(value, relax.TupleGetItem):
        return (_operand(value.tuple_value, env), value.index)
    return (_operand(value, env),)
