"""Operators as operator sets 7 to 12 had them: cases made from those of today's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from builder.compiler.prepare.check_data import array_of
from ci.conformance import freezing, indexing
from ci.conformance.cases import Case
from ci.conformance.opsets import session
from ci.conformance.reference import is_of_tensors, ort_value, retyped

OPSETS = range(7, 13)
"""What ONNX Runtime begins with, to what came before attributes moved to inputs."""

RENAMED = {"K": "k", "constant_value": "value"}
"""Inputs of today that are attributes of another name in older versions."""

NOTHING = "nothing"
"""The input without elements that stands where an older version demands one."""

_REQUIRED = onnx.defs.OpSchema.FormalParameterOption.Single
_VARIADIC = onnx.defs.OpSchema.FormalParameterOption.Variadic
_SINGLE = (onnx.defs.OpSchema.AttrType.INT, onnx.defs.OpSchema.AttrType.FLOAT)

Schema = Any
Attributes = dict[str, Any]


def older(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Return one case for each version that an operator has in ``OPSETS``, by name.

    It is the first of the operator's cases that ONNX Runtime runs in that version; what it is to
    give is what ONNX Runtime gives: a version may well compute something else than today's.
    """
    by_operator: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        graph = case.model.graph
        plain = len(graph.node) == 1 and not graph.node[0].domain and not graph.initializer
        if plain and is_of_tensors(case):
            by_operator[graph.node[0].op_type].append(case)
    return tuple(
        found
        for operator, group in sorted(by_operator.items())
        for opset in versions(operator)
        if (found := _first(group, opset)) is not None
    )


def versions(operator: str) -> list[int]:
    """Return for each version of an operator the newest of ``OPSETS`` that has it, oldest first."""
    newest: dict[int, int] = {}
    for opset in OPSETS:
        try:
            newest[onnx.defs.get_schema(operator, opset).since_version] = opset
        except onnx.defs.SchemaError:
            continue
    return sorted(newest.values())


def _first(cases: Sequence[Case], opset: int) -> Case | None:
    for case in cases:
        aged = _aged(case, opset)
        outputs = _outputs(aged)
        if outputs is not None:
            return _expecting(aged, outputs)
    return None


def _aged(case: Case, opset: int) -> Case:
    """Return ``case`` in an older version; what that version does not know is dropped."""
    (node,) = case.model.graph.node
    new = onnx.defs.get_schema(node.op_type, case.model.opset_import[0].version)
    old = onnx.defs.get_schema(node.op_type, opset)
    inputs, attributes = _moved(node, case.inputs, new, old)
    aged = onnx.helper.make_node(node.op_type, inputs, list(node.output), **attributes)
    nothing = onnx.helper.make_tensor_value_info(NOTHING, onnx.TensorProto.FLOAT, [0])
    known = [*case.model.graph.input, nothing]
    taken = [value for value in known if value.name in inputs]
    graph = onnx.helper.make_graph([aged], "aged", taken, list(case.model.graph.output))
    values = {**case.inputs, NOTHING: np.zeros(0, np.float32)}
    opsets = [onnx.helper.make_opsetid("", opset)]
    ir_version = onnx.helper.find_min_ir_version_for(opsets)
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    return replace(
        case,
        name=f"opset{opset}/{case.name}",
        operator=node.op_type,
        model=model,
        inputs={value.name: values[value.name] for value in taken},
        frozen=freezing.parameters(graph),
        indices=indexing.indices(graph),
    )


def _moved(
    node: onnx.NodeProto, values: Mapping[str, Any], new: Schema, old: Schema
) -> tuple[list[str], Attributes]:
    """Return the inputs and attributes of ``node`` in its older version."""
    attributes = {
        attribute.name: onnx.helper.get_attribute_value(attribute)
        for attribute in node.attribute
        if attribute.name in old.attributes
    }
    if any(formal.option == _VARIADIC for formal in old.inputs):
        return list(node.input), attributes
    names = [formal.name for formal in new.inputs]
    given = dict(zip(names, node.input, strict=False))
    kept = [formal.name for formal in old.inputs]
    if not set(kept) <= set(names):
        kept = names[: len(kept)]  # the same inputs under other names
    for name in set(given) - set(kept):
        attribute = RENAMED.get(name, name)
        value = np.asarray(values.get(given[name], []))
        if attribute in old.attributes and value.size:
            single = old.attributes[attribute].type in _SINGLE
            attributes[attribute] = value.item() if single else value.tolist()
    inputs = [
        given.get(name, "") or (NOTHING if formal.option == _REQUIRED else "")
        for name, formal in zip(kept, old.inputs, strict=False)
    ]
    while inputs and not inputs[-1]:
        inputs.pop()
    return inputs, attributes


def _outputs(case: Case) -> dict[str, Any] | None:
    """Return what ONNX Runtime gives, or None where it does not take the case."""
    wanted = {value.name: value.type.tensor_type.elem_type for value in case.model.graph.output}
    try:
        loaded = session(case.model)
        feed = {name: ort_value(value) for name, value in case.inputs.items()}
        found = [array_of(value) for value in loaded.run_with_ort_values(list(wanted), feed)]
    except Exception:  # ONNX Runtime's exceptions share no base but Exception
        return None
    return {
        name: retyped(value, onnx.helper.tensor_dtype_to_np_dtype(wanted[name]))
        for name, value in zip(wanted, found, strict=True)
    }


def _expecting(case: Case, outputs: Mapping[str, Any]) -> Case:
    """Return ``case`` with these outputs and their types and shapes."""
    del case.model.graph.output[:]
    case.model.graph.output.extend(_described(outputs))
    return replace(case, outputs=outputs, rtol=1e-3, atol=1e-5)


def _described(outputs: Mapping[str, Any]) -> Iterator[onnx.ValueInfoProto]:
    for name, value in outputs.items():
        element = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        yield onnx.helper.make_tensor_value_info(name, element, value.shape)
