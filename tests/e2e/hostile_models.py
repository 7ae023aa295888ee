"""Models that mean harm or make no sense, each with what must be said of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper

node = helper.make_node
info = helper.make_tensor_value_info
FLOAT = TensorProto.FLOAT
Make = Callable[[Path], Path]
"""Writes a model into a folder (and what it needs around it); returns the model's path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One model; ``named`` is what the refusal must mention."""

    name: str
    make: Make
    reasons: tuple[str, ...]
    named: str = ""


def save(folder: Path, graph: onnx.GraphProto, *, opset: int = 17) -> Path:
    path = folder / "model.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(made.SerializeToString())
    return path


def simple(
    nodes: list[onnx.NodeProto],
    *,
    shape: tuple[int | str, ...] = (2, 3),
    weights: tuple[TensorProto, ...] = (),
) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, "g", [info("x", FLOAT, shape)], [info("y", FLOAT, None)], list(weights)
    )


def relu(**changes: str) -> onnx.NodeProto:
    return node("Relu", ["x"], ["y"], **changes)


def external(folder: Path, location: str, *, offset: str = "0", length: str = "24") -> Path:
    weight = TensorProto(name="the-weight", data_type=FLOAT, dims=[2, 3])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        weight.external_data.add(key=key, value=value)
    return save(folder, simple([node("Add", ["x", "the-weight"], ["y"])], weights=(weight,)))


def outside(folder: Path) -> Path:
    """Put bytes beside the model's folder, to be stolen; return the model's folder."""
    (folder / "secret.bin").write_bytes(bytes(24))
    inner = folder / "model"
    inner.mkdir()
    return inner


def parent(folder: Path) -> Path:
    return external(outside(folder), "../secret.bin")


def absolute(folder: Path) -> Path:
    outside(folder)
    return external(folder / "model", str(folder / "secret.bin"))


def symlink(folder: Path) -> Path:
    inner = outside(folder)
    (inner / "w.bin").symlink_to("../secret.bin")
    return external(inner, "w.bin")


def symlinked_folder(folder: Path) -> Path:
    inner = outside(folder)
    (inner / "sub").symlink_to("..")
    return external(inner, "sub/secret.bin")


def hard_link(folder: Path) -> Path:
    inner = outside(folder)
    os.link(folder / "secret.bin", inner / "w.bin")
    return external(inner, "w.bin")


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "w.bin")
    return external(folder, "w.bin")


def data(folder: Path, *, size: int = 24, **entries: str) -> Path:
    (folder / "w.bin").write_bytes(bytes(size))
    return external(folder, "w.bin", **entries)


def bytes_of(content: bytes) -> Make:
    def make(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(content)
        return path

    return make


def truncated(folder: Path) -> Path:
    path = save(folder, simple([relu()]))
    path.write_bytes(path.read_bytes()[:-5])
    return path


def huge_file(folder: Path) -> Path:
    path = folder / "model.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 5)
    return path


def four_tebibytes(folder: Path) -> Path:
    shape = helper.make_tensor("s", TensorProto.INT64, [1], [2**40])
    nodes = [
        node("Constant", [], ["s"], value=shape),
        node("ConstantOfShape", ["s"], ["y"], name="the-filler"),
    ]
    graph = helper.make_graph(nodes, "g", [], [info("y", FLOAT, None)])
    return save(folder, graph)


def grown(folder: Path, operator: str) -> Path:
    """Ask for 4 TiB by repeating a small constant."""
    amount = helper.make_tensor("n", TensorProto.INT64, [2], [2**20, 2**20])
    one = helper.make_tensor("one", FLOAT, [1, 1], [1.0])
    nodes = [
        node(operator, ["one", "n"], ["big"], name="the-filler"),
        node("Add", ["x", "big"], ["y"]),
    ]
    return save(folder, simple(nodes, shape=(1, 1), weights=(amount, one)))


def computed_size(folder: Path) -> Path:
    """Ask for 4 TiB in a shape that only folding finds out."""
    half = helper.make_tensor("half", TensorProto.INT64, [1], [2**20])
    nodes = [
        node("Mul", ["half", "half"], ["whole"]),
        node("ConstantOfShape", ["whole"], ["big"], name="the-filler"),
        node("ReduceSum", ["big"], ["sum"], keepdims=0),
        node("Add", ["x", "sum"], ["y"]),
    ]
    return save(folder, simple(nodes, weights=(half,)))


def range_bomb(folder: Path) -> Path:
    ends = [
        helper.make_tensor(n, TensorProto.INT64, [], [v])
        for n, v in (("a", 0), ("b", 2**42), ("c", 1))
    ]
    nodes = [
        node("Range", ["a", "b", "c"], ["big"], name="the-filler"),
        node("Cast", ["big"], ["y"], to=FLOAT),
    ]
    return save(folder, simple(nodes, weights=tuple(ends)))


def sparse_bomb(folder: Path) -> Path:
    """Ask for 4 TiB of zeros around two numbers."""
    values = helper.make_tensor("the-weight", FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    graph = simple([node("Add", ["x", "the-weight"], ["y"])])
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**20, 2**20]))
    return save(folder, graph)


def large_input(folder: Path) -> Path:
    return save(folder, simple([relu(name="the-node")], shape=(2**20, 2**20)))


def overflowing_input(folder: Path) -> Path:
    return save(folder, simple([relu()], shape=(2**62, 2**62, 4)))


def negative_input(folder: Path) -> Path:
    return save(folder, simple([relu()], shape=(2, -3)))


def overflowing_weight(folder: Path) -> Path:
    weight = TensorProto(name="the-weight", data_type=FLOAT, dims=[2**62, 4], raw_data=b"")
    return save(folder, simple([node("Add", ["x", "the-weight"], ["y"])], weights=(weight,)))


def negative_weight(folder: Path) -> Path:
    weight = TensorProto(name="the-weight", data_type=FLOAT, dims=[-1, 4], raw_data=bytes(16))
    return save(folder, simple([node("Add", ["x", "the-weight"], ["y"])], weights=(weight,)))


def mismatched_weight(folder: Path) -> Path:
    weight = TensorProto(name="the-weight", data_type=FLOAT, dims=[2, 3], raw_data=bytes(20))
    return save(folder, simple([node("Add", ["x", "the-weight"], ["y"])], weights=(weight,)))


def typeless_weight(folder: Path) -> Path:
    weight = TensorProto(name="the-weight", data_type=77, dims=[2, 3], raw_data=bytes(24))
    return save(folder, simple([node("Add", ["x", "the-weight"], ["y"])], weights=(weight,)))


def cycle(folder: Path) -> Path:
    nodes = [
        node("Add", ["x", "b"], ["a"], name="the-first"),
        node("Relu", ["a"], ["b"], name="the-second"),
        node("Relu", ["b"], ["y"]),
    ]
    return save(folder, simple(nodes))


def self_cycle(folder: Path) -> Path:
    return save(folder, simple([node("Add", ["x", "y"], ["y"], name="the-snake")]))


def nested(depth: int) -> onnx.GraphProto:
    """Return a branch with ``depth`` more in it."""
    out = info("out", FLOAT, [2, 3])
    leaf = helper.make_graph([node("Relu", ["x"], ["out"])], "leaf", [], [out])
    graph = leaf
    for _ in range(depth):
        step = node("If", ["c"], ["out"], name="the-if", then_branch=graph, else_branch=leaf)
        graph = helper.make_graph([step], "branch", [], [out])
    return graph


def deep(folder: Path) -> Path:
    """Write 10,000 graphs within graphs, by hand: no protobuf library makes such a file."""

    def field(number: int, content: bytes) -> bytes:
        return _varint(number << 3 | 2) + _varint(len(content)) + content

    graph = b""
    for _ in range(10_000):
        attribute = field(1, b"body") + _varint(20 << 3) + _varint(5) + field(6, graph)
        graph = field(1, field(4, b"Loop") + field(5, attribute)) + field(2, b"g")
    path = folder / "model.onnx"
    path.write_bytes(
        _varint(1 << 3) + _varint(8) + field(7, graph) + field(8, _varint(2 << 3) + _varint(17))
    )
    return path


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def moderately_deep(folder: Path) -> Path:
    graph = nested(12)
    graph.input.extend([info("x", FLOAT, [2, 3]), info("c", TensorProto.BOOL, [])])
    return save(folder, graph)


def million_nodes(folder: Path) -> Path:
    one = relu().SerializeToString()
    prefix = b"\x0a" + _varint(len(one)) + one
    graph = helper.make_graph([], "g", [info("x", FLOAT, [2])], [info("y", FLOAT, [2])])
    content = prefix * 1_000_000 + graph.SerializeToString()
    path = folder / "model.onnx"
    opset = helper.make_opsetid("", 17).SerializeToString()
    path.write_bytes(
        b"\x08\x08"
        + b"\x3a"
        + _varint(len(content))
        + content
        + b"\x42"
        + _varint(len(opset))
        + opset
    )
    return path


def empty_messages(folder: Path) -> Path:
    """Write 100 million nodes of two bytes each: parsed, they take many GiB."""
    content = b"\x0a\x00" * 100_000_000
    path = folder / "model.onnx"
    path.write_bytes(b"\x08\x08\x3a" + _varint(len(content)) + content)
    return path


def million_weights(folder: Path) -> Path:
    one = helper.make_tensor("w", FLOAT, [1], [1.0]).SerializeToString()
    content = (b"\x2a" + _varint(len(one)) + one) * 1_000_000 + simple([relu()]).SerializeToString()
    path = folder / "model.onnx"
    opset = helper.make_opsetid("", 17).SerializeToString()
    path.write_bytes(
        b"\x08\x08"
        + b"\x3a"
        + _varint(len(content))
        + content
        + b"\x42"
        + _varint(len(opset))
        + opset
    )
    return path


def duplicate_outputs(folder: Path) -> Path:
    return save(
        folder, simple([node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"], name="the-twin")])
    )


def duplicate_inputs(folder: Path) -> Path:
    graph = simple([relu()])
    graph.input.append(info("x", FLOAT, [2, 3]))
    return save(folder, graph)


def duplicate_weights(folder: Path) -> Path:
    weights = tuple(helper.make_tensor("the-weight", FLOAT, [1], [v]) for v in (1.0, 2.0))
    return save(folder, simple([node("Add", ["x", "the-weight"], ["y"])], weights=weights))


def empty_input_name(folder: Path) -> Path:
    graph = simple([relu()])
    graph.input.append(info("", FLOAT, [2, 3]))
    return save(folder, graph)


def unknown_output(folder: Path) -> Path:
    graph = simple([relu()])
    graph.output.append(info("the-nowhere", FLOAT, [2]))
    return save(folder, graph)


def undefined_input(folder: Path) -> Path:
    return save(folder, simple([node("Add", ["x", "the-nowhere"], ["y"], name="adder")]))


def non_utf8(folder: Path) -> Path:
    path = save(folder, simple([relu(name="the-node-QQQQ")]))
    path.write_bytes(path.read_bytes().replace(b"QQQQ", b"\xff\xfe\xff\xfe"))
    return path


def bad_attribute(folder: Path) -> Path:
    strange = relu(name="the-node")
    strange.attribute.add(name="alpha", type=AttributeProto.FLOAT, f=1.0)
    path = save(folder, simple([strange]))
    path.write_bytes(path.read_bytes().replace(b"\xa0\x01\x01", b"\xa0\x01\x63"))
    return path


def wrong_attribute_type(folder: Path) -> Path:
    strange = node("Transpose", ["x"], ["y"], name="the-node")
    strange.attribute.add(name="perm", type=AttributeProto.STRING, s=b"0,1")
    return save(folder, simple([strange]))


def contradiction(folder: Path) -> Path:
    weight = helper.make_tensor("w", FLOAT, [7, 5], np.zeros(35))
    return save(
        folder, simple([node("MatMul", ["x", "w"], ["y"], name="the-product")], weights=(weight,))
    )


def division_by_zero(folder: Path) -> Path:
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [0, -1])
    nodes = [node("Reshape", ["x", "s"], ["y"], name="the-reshape", allowzero=1)]
    return save(folder, simple(nodes, weights=(shape,)))


def endless_loop(folder: Path) -> Path:
    """Ask for 2^62 rounds whose number is constant."""
    body = helper.make_graph(
        [node("Identity", ["go_in"], ["go"]), node("Relu", ["v_in"], ["v"])],
        "body",
        [
            info("i", TensorProto.INT64, []),
            info("go_in", TensorProto.BOOL, []),
            info("v_in", FLOAT, [2, 3]),
        ],
        [info("go", TensorProto.BOOL, []), info("v", FLOAT, [2, 3])],
    )
    count = helper.make_tensor("count", TensorProto.INT64, [], [2**62])
    on = helper.make_tensor("on", TensorProto.BOOL, [], [True])
    nodes = [node("Loop", ["count", "on", "x"], ["y"], name="the-loop", body=body)]
    return save(folder, simple(nodes, weights=(count, on)))


def nested_loops(folder: Path) -> Path:
    """Ask for a billion rounds: three loops in each other, a thousand rounds each."""
    many = helper.make_tensor("many", TensorProto.INT64, [], [1000])
    on = helper.make_tensor("on", TensorProto.BOOL, [], [True])
    step = node("Relu", ["v0"], ["w0"])
    for level in range(3):
        body = helper.make_graph(
            [node("Identity", [f"go{level}"], [f"on{level}"]), step],
            "body",
            [
                info(f"i{level}", TensorProto.INT64, []),
                info(f"go{level}", TensorProto.BOOL, []),
                info(f"v{level}", FLOAT, [2, 3]),
            ],
            [info(f"on{level}", TensorProto.BOOL, []), info(f"w{level}", FLOAT, [2, 3])],
        )
        taken, made = ("x", "y") if level == 2 else (f"v{level + 1}", f"w{level + 1}")
        step = node("Loop", ["many", "on", taken], [made], name=f"loop-{level}", body=body)
    return save(folder, simple([step], weights=(many, on)))


def recursive_function(folder: Path) -> Path:
    graph = simple([node("F", ["x"], ["y"], domain="f", name="the-call")])
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("f", 1)],
        ir_version=8,
        functions=[
            helper.make_function(
                "f",
                "F",
                ["a"],
                ["b"],
                [node("F", ["a"], ["b"], domain="f")],
                [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)],
            )
        ],
    )
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def tower_of_functions(folder: Path, calls: onnx.NodeProto, *, height: int, times: int) -> Path:
    """Call, by ``calls``, the topmost of functions that each call the one below so many times."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [
        helper.make_function("f", "F0", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)
    ]
    for level in range(1, height + 1):
        values = ["a", *(f"m{i}" for i in range(times - 1)), "b"]
        body = [
            node(f"F{level - 1}", [values[i]], [values[i + 1]], domain="f") for i in range(times)
        ]
        functions.append(helper.make_function("f", f"F{level}", ["a"], ["b"], body, opsets))
    made = helper.make_model(
        simple([calls]), opset_imports=opsets, ir_version=8, functions=functions
    )
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def exponential_functions(folder: Path) -> Path:
    """Call F30, which calls F29 twice, which …: a billion nodes once inlined."""
    call = node("F30", ["x"], ["y"], domain="f", name="the-call")
    return tower_of_functions(folder, call, height=30, times=2)


def exponential_functions_in_a_branch(folder: Path) -> Path:
    branch = helper.make_graph(
        [node("F30", ["x"], ["o"], domain="f")], "b", [], [info("o", FLOAT, None)]
    )
    step = node("If", ["x"], ["y"], name="the-if", then_branch=branch, else_branch=branch)
    return tower_of_functions(folder, step, height=30, times=2)


def chained_functions(folder: Path) -> Path:
    call = node("F600", ["x"], ["y"], domain="f", name="the-call")
    return tower_of_functions(folder, call, height=600, times=1)


OUTSIDE = ("external-data-outside",)
BOUNDS = ("external-data-bounds",)

HOSTILE: tuple[Hostile, ...] = (
    Hostile(name="parent", make=parent, reasons=OUTSIDE, named="../secret.bin"),
    Hostile(name="absolute", make=absolute, reasons=OUTSIDE, named="secret.bin"),
    Hostile(name="symlink", make=symlink, reasons=OUTSIDE, named="w.bin"),
    Hostile(name="symlinked-folder", make=symlinked_folder, reasons=OUTSIDE, named="sub"),
    Hostile(name="hard-link", make=hard_link, reasons=OUTSIDE, named="w.bin"),
    Hostile(name="pipe", make=pipe, reasons=OUTSIDE, named="w.bin"),
    Hostile(name="device", make=lambda f: external(f, "/dev/zero"), reasons=OUTSIDE, named="/dev"),
    Hostile(name="nul-location", make=lambda f: external(f, "w\0.bin"), reasons=OUTSIDE),
    Hostile(name="no-location", make=lambda f: external(f, ""), reasons=("external-data-missing",)),
    Hostile(
        name="missing-data",
        make=lambda f: external(f, "w.bin"),
        reasons=("external-data-missing",),
        named="w.bin",
    ),
    Hostile(
        name="negative-offset",
        make=lambda f: data(f, offset="-8"),
        reasons=BOUNDS,
        named="the-weight",
    ),
    Hostile(
        name="negative-length",
        make=lambda f: data(f, length="-24"),
        reasons=BOUNDS,
        named="the-weight",
    ),
    Hostile(name="oversized-offset", make=lambda f: data(f, offset="9" * 18), reasons=BOUNDS),
    Hostile(name="oversized-length", make=lambda f: data(f, length=str(2**50)), reasons=BOUNDS),
    Hostile(name="endless-offset", make=lambda f: data(f, offset="9" * 5000), reasons=BOUNDS),
    Hostile(name="short-data", make=lambda f: data(f, size=7), reasons=BOUNDS, named="w.bin"),
    Hostile(
        name="short-length",
        make=lambda f: data(f, length="8"),
        reasons=("malformed-tensor",),
        named="the-weight",
    ),
    Hostile(name="empty", make=bytes_of(b""), reasons=("empty-file",)),
    Hostile(name="text", make=bytes_of(b"import os; os.system('id')\n"), reasons=("not-onnx",)),
    Hostile(name="zeros", make=bytes_of(bytes(1000)), reasons=("not-onnx",)),
    Hostile(name="truncated", make=truncated, reasons=("truncated",)),
    Hostile(name="over-2-gib", make=huge_file, reasons=("too-large",)),
    Hostile(name="4-tib", make=four_tebibytes, reasons=("too-large",), named="the-filler"),
    Hostile(
        name="expand", make=lambda f: grown(f, "Expand"), reasons=("too-large",), named="the-f"
    ),
    Hostile(name="tile", make=lambda f: grown(f, "Tile"), reasons=("too-large",), named="the-f"),
    Hostile(name="computed", make=computed_size, reasons=("too-large",), named="the-filler"),
    Hostile(name="range", make=range_bomb, reasons=("too-large",), named="the-filler"),
    Hostile(name="sparse", make=sparse_bomb, reasons=("too-large",), named="the-weight"),
    Hostile(name="large-input", make=large_input, reasons=("too-large",), named="x"),
    Hostile(name="overflowing-input", make=overflowing_input, reasons=("too-large",), named="x"),
    Hostile(name="negative-input", make=negative_input, reasons=("open-shape",), named="x"),
    Hostile(
        name="overflowing-weight",
        make=overflowing_weight,
        reasons=("malformed-tensor", "too-large"),
        named="the-weight",
    ),
    Hostile(
        name="negative-weight", make=negative_weight, reasons=("malformed-tensor",), named="the-w"
    ),
    Hostile(
        name="mismatched-weight",
        make=mismatched_weight,
        reasons=("malformed-tensor",),
        named="the-weight",
    ),
    Hostile(
        name="typeless-weight", make=typeless_weight, reasons=("malformed-tensor",), named="the-w"
    ),
    Hostile(name="cycle", make=cycle, reasons=("invalid-graph",), named="the-first"),
    Hostile(name="self-cycle", make=self_cycle, reasons=("invalid-graph",), named="the-snake"),
    Hostile(name="10000-deep", make=deep, reasons=("too-deep",)),
    Hostile(name="12-deep", make=moderately_deep, reasons=("control-flow",), named="the-if"),
    Hostile(name="million-nodes", make=million_nodes, reasons=("too-many-nodes",)),
    Hostile(name="empty-messages", make=empty_messages, reasons=("too-many-nodes",)),
    Hostile(name="million-weights", make=million_weights, reasons=("too-many-nodes",)),
    Hostile(
        name="duplicate-outputs", make=duplicate_outputs, reasons=("invalid-graph",), named="the-t"
    ),
    Hostile(name="duplicate-inputs", make=duplicate_inputs, reasons=("invalid-graph",), named="x"),
    Hostile(
        name="duplicate-weights",
        make=duplicate_weights,
        reasons=("invalid-graph",),
        named="the-weight",
    ),
    Hostile(name="empty-input-name", make=empty_input_name, reasons=("invalid-graph",)),
    Hostile(
        name="unknown-output", make=unknown_output, reasons=("invalid-graph",), named="the-nowhere"
    ),
    Hostile(
        name="undefined-input",
        make=undefined_input,
        reasons=("invalid-graph",),
        named="the-nowhere",
    ),
    Hostile(name="non-utf8", make=non_utf8, reasons=("not-onnx", "invalid-graph")),
    Hostile(name="bad-attribute", make=bad_attribute, reasons=("invalid-graph",), named="the-node"),
    Hostile(
        name="wrong-attribute-type",
        make=wrong_attribute_type,
        reasons=("invalid-graph",),
        named="the-node",
    ),
    Hostile(
        name="contradiction", make=contradiction, reasons=("invalid-graph",), named="the-product"
    ),
    Hostile(name="bad-reshape", make=division_by_zero, reasons=("invalid-graph",)),
    Hostile(name="endless-loop", make=endless_loop, reasons=("control-flow",), named="the-loop"),
    Hostile(name="nested-loops", make=nested_loops, reasons=("control-flow",), named="loop-2"),
    Hostile(
        name="recursive-function",
        make=recursive_function,
        reasons=("invalid-graph", "custom-domain"),
        named="F",
    ),
    Hostile(
        name="exponential-functions",
        make=exponential_functions,
        reasons=("too-many-nodes", "custom-domain"),
        named="F30",
    ),
    Hostile(
        name="exponential-functions-in-a-branch",
        make=exponential_functions_in_a_branch,
        reasons=("too-many-nodes",),
        named="F30",
    ),
    Hostile(name="chained-functions", make=chained_functions, reasons=("too-deep",), named="F"),
)
