"""From a prepared model to a plan: places, provenance, copies, refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from builder.compiler import codegen, importing, lowering, passes
from builder.compiler.node_names import node_name
from builder.compiler.plan import Place, StaticPlan
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.compiler.weights import WeightsWriter
from builder.errors import ModelRefused, UsageError
from builder.model.target import Cpu, Libc, Platform
from tests.unit.compiler.models import conv_bn_relu, model

PLATFORM = Platform(arch="x86_64", libc=Libc(family="glibc", floor="2.17"))
CPU = Cpu(mcpu="x86-64-v3", mattr=(), cores=2, features=())


def planned(tmp_path: Path, made: onnx.ModelProto) -> StaticPlan:
    source, folder = tmp_path / "source.onnx", tmp_path / "prepared"
    onnx.save(made, source)
    folder.mkdir()
    prepare(source, seed=0, output=folder, log=lambda _: None)
    prepared = importing.read_prepared(folder)
    names = [node_name(i, node) for i, node in enumerate(prepared.graph.node)]
    facts = passes.Facts(
        platform=PLATFORM,
        cpu=CPU,
        targets=(codegen.llvm_target(PLATFORM, CPU),),
        log=lambda _: None,
    )
    mod = passes.run(importing.import_model(prepared, folder), facts)
    with WeightsWriter(tmp_path / "weights.bin") as weights:
        return lowering.lower(mod, read_signature(folder), names, weights)


def chain(*operators: str, repeat: int = 1) -> onnx.ModelProto:
    """Return x -> MatMul -> operator -> MatMul -> ...: the MatMuls keep them apart."""
    nodes, last = [], "x"
    weights = {}
    for number in range(repeat):
        for operator in operators:
            made = f"{operator}{number}"
            weights[f"w{number}"] = np.eye(8, dtype=np.float32) * (number + 1)
            nodes.append(
                helper.make_node("MatMul", [last, f"w{number}"], [f"m{made}"], name=f"mm{number}")
            )
            nodes.append(helper.make_node(operator, [f"m{made}"], [made], name=made))
            last = made
    return model(nodes, inputs={"x": [4, 8]}, outputs={last: [4, 8]}, weights=weights)


def test_a_fused_call_names_all_its_nodes_and_writes_the_callers_buffer(tmp_path: Path) -> None:
    plan = planned(tmp_path, chain("Relu"))
    assert [call.nodes for call in plan.calls] == [("mm0", "Relu0")]
    assert plan.calls[0].views[0].place is Place.INPUT
    assert plan.calls[0].views[-1].place is Place.OUTPUT
    assert (plan.arena_bytes, plan.copies) == (0, ())


def test_a_convolution_and_its_conversions_name_their_nodes(tmp_path: Path) -> None:
    plan = planned(tmp_path, conv_bn_relu())
    named = [node for call in plan.calls for node in call.nodes]
    assert set(named) == {"conv", "relu"}
    assert all(call.nodes for call in plan.calls)


def test_equal_kernels_keep_their_own_nodes(tmp_path: Path) -> None:
    plan = planned(tmp_path, chain("Relu", repeat=3))
    assert len({call.kernel for call in plan.calls}) == 1
    assert [call.nodes for call in plan.calls] == [
        ("mm0", "Relu0"),
        ("mm1", "Relu1"),
        ("mm2", "Relu2"),
    ]


def test_a_long_chain_shares_two_places_of_the_arena(tmp_path: Path) -> None:
    plan = planned(tmp_path, chain("Relu", repeat=6))
    assert plan.arena_bytes == 2 * 4 * 8 * 4


def test_an_input_passed_on_and_an_output_asked_twice_are_copied(tmp_path: Path) -> None:
    made = model(
        [
            helper.make_node("Relu", ["x"], ["y"]),
            helper.make_node("Identity", ["y"], ["again"]),
            helper.make_node("Identity", ["x"], ["same"]),
        ],
        inputs={"x": [3]},
        outputs={"y": [3], "again": [3], "same": [3]},
    )
    plan = planned(tmp_path, made)
    copies = {copy.output: copy.source.place for copy in plan.copies}
    assert copies == {1: Place.OUTPUT, 2: Place.INPUT}


def test_a_reshape_costs_nothing(tmp_path: Path) -> None:
    made = model(
        [
            helper.make_node("Relu", ["x"], ["r"], name="relu"),
            helper.make_node("Reshape", ["r", "shape"], ["flat"]),
            helper.make_node("Softmax", ["flat"], ["y"], name="softmax", axis=1),
        ],
        inputs={"x": [2, 3, 4]},
        outputs={"y": [2, 12]},
        weights={"shape": np.array([2, 12])},
    )
    plan = planned(tmp_path, made)
    named = [node for call in plan.calls for node in call.nodes]
    assert set(named) >= {"relu", "softmax"}
    assert len(plan.calls) == 2  # the reshape is part of what relu writes


def joining(*outputs: str) -> onnx.ModelProto:
    """Return two products joined, and a product of that."""
    weights = {name: np.eye(16, k=k, dtype=np.float32) for k, name in enumerate("vw")}
    nodes = [
        helper.make_node("MatMul", ["x", "v"], ["a"], name="first"),
        helper.make_node("MatMul", ["x", "w"], ["b"], name="second"),
        helper.make_node("Concat", ["a", "b"], ["j"], name="join", axis=0),
        helper.make_node("MatMul", ["j", "w"], ["y"], name="third"),
    ]
    shapes = {"a": [4, 16], "j": [8, 16], "y": [8, 16]}
    return model(
        nodes,
        inputs={"x": [4, 16]},
        outputs={name: shapes[name] for name in outputs},
        weights=weights,
    )


@pytest.mark.parametrize("outputs", [("y",), ("y", "j")])
def test_parts_are_written_where_the_whole_has_them(
    tmp_path: Path, outputs: tuple[str, ...]
) -> None:
    plan = planned(tmp_path, joining(*outputs))
    assert [call.nodes for call in plan.calls] == [("first",), ("second",), ("third",)]
    first, second = (call.views[-1] for call in plan.calls[:2])
    whole = plan.calls[2].views[0]
    place = Place.OUTPUT if "j" in outputs else Place.ARENA
    assert {first.place, second.place, whole.place} == {place}
    assert (first.offset, second.offset) == (whole.offset, whole.offset + first.size_bytes)


def test_a_part_that_is_an_output_is_copied(tmp_path: Path) -> None:
    plan = planned(tmp_path, joining("y", "a"))
    assert ("join",) in [call.nodes for call in plan.calls]


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["m"]),
        helper.make_node("MatMul", ["m", "b"], ["y"]),
    ]
    made = model(
        nodes,
        inputs={"x": [4, 8]},
        outputs={"y": [4, 8]},
        weights={"a": weight, "b": weight.copy()},
    )
    assert planned(tmp_path, made).weights_bytes == weight.nbytes


def test_every_unsupported_operator_is_named_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("RandomUniformLike", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="fine"),
        helper.make_node("RandomUniformLike", ["b"], ["y"], name="second"),
    ]
    made = model(nodes, inputs={"x": [1, 8, 2]}, outputs={"y": [1, 8, 2]})
    with pytest.raises(ModelRefused) as caught:
        planned(tmp_path, made)
    assert caught.value.reason == "unsupported-operator"
    assert [entry["node"] for entry in caught.value.details["nodes"]] == ["first", "second"]


def test_a_cpu_that_llvm_does_not_know_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        codegen.llvm_target(PLATFORM, dataclasses.replace(CPU, mcpu="skylake-avx51"))
    assert caught.value.reason == "unknown-mcpu"
