"""The test cases: ONNX's own node tests, and the model tests that come in its wheel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from ci.conformance import freezing, indexing

MODEL_FOLDERS = ("simple", "pytorch-converted", "pytorch-operator")
"""Folders of the wheel with inputs and outputs; "light" has models whose outputs are all equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model, the inputs it is fed and the outputs it must give.

    ``frozen`` are the inputs that become constants of the model: those that say how an operator
    works (axes, sizes, pads), not what it works on. ``indices`` are those that point into others.
    """

    name: str
    operator: str
    model: onnx.ModelProto = field(repr=False)
    inputs: Mapping[str, Any] = field(repr=False)
    outputs: Mapping[str, Any] = field(repr=False)
    frozen: frozenset[str]
    indices: frozenset[str] = frozenset()
    rtol: float
    atol: float

    @property
    def fed(self) -> dict[str, Any]:
        """The inputs that remain inputs."""
        return {name: value for name, value in self.inputs.items() if name not in self.frozen}

    @property
    def known(self) -> dict[str, Any]:
        """The inputs that become constants."""
        return {name: value for name, value in self.inputs.items() if name in self.frozen}


def collect() -> tuple[Case, ...]:
    """Return every case, by name."""
    cases = [*_node_cases(), *_model_cases()]
    return tuple(sorted(cases, key=lambda case: case.name))


def _node_cases() -> Iterator[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reference divides by zero on purpose
        collected = collect_testcases(None)
    plain = {test.name: test.model.graph for test in collected}
    for test in collected:
        whole = plain.get(test.name.split("_expanded")[0], test.model.graph)
        inputs, outputs = test.data_sets[0]
        yield _case(test.name, whole.node[0].op_type, test, inputs, outputs, whole)


def _model_cases() -> Iterator[Case]:
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for kind in MODEL_FOLDERS:
        for folder in sorted((root / kind).iterdir()):
            model = onnx.load(folder / "model.onnx")
            test = _Loaded(model=model)
            inputs = _tensors(folder / "test_data_set_0", "input", model.graph.input)
            outputs = _tensors(folder / "test_data_set_0", "output", model.graph.output)
            name = f"{kind}/{folder.name}"
            operator = model.graph.node[0].op_type if len(model.graph.node) == 1 else "(models)"
            yield _case(name, operator, test, inputs, outputs, model.graph)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A model test, in the terms of a node test."""

    model: onnx.ModelProto
    rtol: float = 1e-3
    atol: float = 1e-7


def _case(
    name: str,
    operator: str,
    test: Any,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    whole: onnx.GraphProto,
) -> Case:
    """Return the case of ``test``; ``whole`` has the node itself where the test has it expanded."""
    graph = test.model.graph
    return Case(
        name=name,
        operator=operator,
        model=test.model,
        inputs=_named(graph.input, inputs),
        outputs=_named(graph.output, outputs),
        frozen=freezing.parameters(whole),
        indices=indexing.indices(whole),
        rtol=test.rtol,
        atol=test.atol,
    )


def _named(values: Sequence[onnx.ValueInfoProto], data: Sequence[Any]) -> dict[str, Any]:
    arrays = (
        numpy_helper.to_array(one) if isinstance(one, onnx.TensorProto) else one for one in data
    )
    return dict(zip((value.name for value in values), arrays, strict=False))


def _tensors(folder: Path, kind: str, values: Sequence[onnx.ValueInfoProto]) -> list[Any]:
    return [
        _value((folder / f"{kind}_{number}.pb").read_bytes(), value)
        for number, value in enumerate(values)
        if (folder / f"{kind}_{number}.pb").exists()
    ]


def _value(content: bytes, value: onnx.ValueInfoProto) -> Any:
    if value.type.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if value.type.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return numpy_helper.to_array(onnx.TensorProto.FromString(content))
