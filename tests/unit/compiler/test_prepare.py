"""Preparation: static shapes, folded normalisation, check data, refusals."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.prepare.pipeline import prepare
from builder.errors import BoardwrightError, BuildFailed, ModelRefused, UsageError
from builder.model.binding import Binding
from tests.unit.compiler.models import conv_bn_relu, model


def prepared(
    tmp_path: Path,
    made: onnx.ModelProto,
    given: Path | None = None,
    shapes: dict[str, tuple[int, ...]] | None = None,
) -> Path:
    source, output = tmp_path / "source.onnx", tmp_path / "out"
    onnx.save(made, source)
    output.mkdir()
    binding = Binding(shapes=tuple((shapes or {}).items()))
    prepare(source, binding=binding, given=given, seed=0, output=output, log=lambda _: None)
    return output


def operators(folder: Path) -> list[str]:
    graph = onnx.load(folder / "model.onnx").graph
    return [node.op_type for node in graph.node]


def run(folder: Path, feed: dict[str, npt.NDArray[Any]]) -> list[Any]:
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    return list(session.run(None, feed))


def test_batchnorm_vanishes_into_the_convolution_and_nothing_changes(tmp_path: Path) -> None:
    folder = prepared(tmp_path, conv_bn_relu())
    assert operators(folder) == ["Conv", "Relu"]
    x = np.load(folder / "check/inputs/x.npy")
    expected = np.load(folder / "check/expected/y.npy")
    np.testing.assert_allclose(run(folder, {"x": x})[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["y.weight", "y.bias", "b.scale", "b.shift", "b.scaled"])
def test_batchnorm_overwrites_nothing_that_has_a_name_like_its_own(
    tmp_path: Path, name: str
) -> None:
    made = conv_bn_relu()
    made.graph.node[-1].CopyFrom(helper.make_node("Add", ["b", name], ["y"]))
    made.graph.node[-2].output[0] = "b"
    made.graph.initializer.append(numpy_helper.from_array(np.float32(7), name))
    if name.startswith("b."):
        made.graph.node[0].output[0] = "conv"
        made.graph.node.insert(1, helper.make_node("Sin", ["conv"], ["c"]))
    folder = prepared(tmp_path, made)
    x = np.load(folder / "check/inputs/x.npy")
    expected = np.load(folder / "check/expected/y.npy")
    np.testing.assert_allclose(run(folder, {"x": x})[0], expected, rtol=1e-5, atol=1e-5)


def test_batchnorm_without_a_convolution_becomes_scale_and_shift(tmp_path: Path) -> None:
    vectors = {name: np.linspace(0.5, 1.5, 4).astype(np.float32) for name in "abcd"}
    made = model(
        [helper.make_node("BatchNormalization", ["x", *"abcd"], ["y"])],
        inputs={"x": [2, 4, 3]},
        outputs={"y": [2, 4, 3]},
        weights=vectors,
    )
    folder = prepared(tmp_path, made)
    assert operators(folder) == ["Mul", "Add"]
    x = np.load(folder / "check/inputs/x.npy")
    expected = np.load(folder / "check/expected/y.npy")
    np.testing.assert_allclose(run(folder, {"x": x})[0], expected, rtol=1e-5, atol=1e-5)


def outside(value: npt.NDArray[Any], folder: Path, name: str) -> onnx.TensorProto:
    """Return a tensor whose bytes lie in a file of their own."""
    (folder / f"{name}.bin").write_bytes(value.tobytes())
    tensor = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=value.shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=f"{name}.bin")
    return tensor


def test_tensors_outside_are_found_wherever_they_stand(tmp_path: Path) -> None:
    weight = np.arange(4, dtype=np.float32)
    info = helper.make_tensor_value_info
    branches = [
        helper.make_graph(
            [helper.make_node(operator, ["x", "in"], ["o"])],
            "b",
            [],
            [info("o", TensorProto.FLOAT, [4])],
            [outside(weight, tmp_path, "in")],
        )
        for operator in ("Mul", "Add")
    ]
    nodes = [
        helper.make_node("Constant", [], ["c"], value=outside(weight + 1, tmp_path, "constant")),
        helper.make_node("If", ["yes"], ["h"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Add", ["h", "c"], ["y"]),
    ]
    made = model(nodes, inputs={"x": [4]}, outputs={"y": None}, weights={"yes": np.array(True)})
    folder = prepared(tmp_path, made)
    x, expected = (np.load(folder / f"check/{name}.npy") for name in ("inputs/x", "expected/y"))
    np.testing.assert_allclose(expected, x * weight + weight + 1)
    np.testing.assert_allclose(run(folder, {"x": x})[0], expected)


@pytest.mark.parametrize("linear", [True, False])
def test_sparse_tensors_become_dense(tmp_path: Path, linear: bool) -> None:
    places = [1, 5] if linear else [[0, 1], [1, 2]]
    values = helper.make_tensor("s", TensorProto.FLOAT, [2], [3.0, 4.0])
    shape = np.asarray(places).shape
    indices = helper.make_tensor("i", TensorProto.INT64, shape, np.ravel(places))
    sparse = helper.make_sparse_tensor(values, indices, [2, 3])
    nodes = [
        helper.make_node("Constant", [], ["c"], sparse_value=sparse),
        helper.make_node("Mul", ["c", "x"], ["m"]),
        helper.make_node("Add", ["m", "s"], ["y"]),
    ]
    made = model(nodes, inputs={"x": [2, 3]}, outputs={"y": None})
    made.graph.sparse_initializer.append(sparse)
    folder = prepared(tmp_path, made)
    x = np.load(folder / "check/inputs/x.npy")
    dense = np.asarray([[0, 3, 0], [0, 0, 4]], np.float32)
    np.testing.assert_allclose(run(folder, {"x": x})[0], dense * x + dense)


@pytest.mark.parametrize("places", [[1, 6], [-1, 2], [1, 2, 3]])
def test_sparse_tensors_that_do_not_fit_are_refused(tmp_path: Path, places: list[int]) -> None:
    made = model(
        [helper.make_node("Add", ["x", "s"], ["y"])], inputs={"x": [2, 3]}, outputs={"y": None}
    )
    values = helper.make_tensor("s", TensorProto.FLOAT, [2], [3.0, 4.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [len(places)], places)
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 3]))
    with pytest.raises(ModelRefused) as caught:
        prepared(tmp_path, made)
    assert caught.value.reason == "malformed-tensor"
    assert "'s'" in str(caught.value)


def test_large_weights_leave_the_protobuf_aligned_and_equal(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((128, 256)).astype(np.float32)
    made = model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        inputs={"x": [1, 128]},
        outputs={"y": [1, 256]},
        weights={"w": weight},
    )
    folder = prepared(tmp_path, made)
    assert (folder / "model.onnx").stat().st_size < 1000
    assert (folder / "weights.data").stat().st_size == weight.nbytes
    np.testing.assert_array_equal(
        onnx.numpy_helper.to_array(onnx.load(folder / "model.onnx").graph.initializer[0]), weight
    )


def test_the_signature_keeps_names_and_order(tmp_path: Path) -> None:
    made = model(
        [
            helper.make_node("Add", ["b/in", "a:0"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["../out"]),
        ],
        inputs={"b/in": [2], "a:0": [2]},
        outputs={"../out": [2], "sum": [2]},
    )
    folder = prepared(tmp_path, made)
    signature = json.loads((folder / "signature.json").read_text())
    assert [spec["name"] for spec in signature["inputs"]] == ["b/in", "a:0"]
    assert [spec["name"] for spec in signature["outputs"]] == ["../out", "sum"]
    stems = [spec["file"] for spec in (*signature["inputs"], *signature["outputs"])]
    assert all("/" not in stem and not stem.startswith(".") for stem in stems)
    assert {path.parent.name for path in folder.rglob("*.npy")} == {"inputs", "expected"}


def test_seeded_inputs_are_the_same_again_and_differ_by_seed(tmp_path: Path) -> None:
    source = tmp_path / "m.onnx"
    onnx.save(conv_bn_relu(), source)
    made = []
    for number, seed in enumerate((7, 7, 8)):
        output = tmp_path / str(number)
        output.mkdir()
        prepare(source, seed=seed, output=output, log=lambda _: None)
        made.append((output / "check/inputs/x.npy").read_bytes())
    assert made[0] == made[1] != made[2]


def dynamic() -> onnx.ModelProto:
    return model(
        [helper.make_node("Add", ["x", "y"], ["z"])],
        inputs={"x": ["batch", 4], "y": ["batch", 4]},
        outputs={"z": ["batch", 4]},
    )


def test_one_shape_binds_its_symbols_everywhere(tmp_path: Path) -> None:
    folder = prepared(tmp_path, dynamic(), shapes={"x": (3, 4)})
    assert np.load(folder / "check/expected/z.npy").shape == (3, 4)


@pytest.mark.parametrize(
    ("shapes", "reason", "kind"),
    [
        ({}, "open-shape", ModelRefused),
        ({"nope": (1, 4)}, "unknown-input", UsageError),
        ({"x": (1, 5)}, "shape-mismatch", UsageError),
        ({"x": (1, 4, 1)}, "shape-mismatch", UsageError),
        ({"x": (1, 4), "y": (2, 4)}, "shape-mismatch", UsageError),
    ],
)
def test_shapes_that_cannot_be(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], reason: str, kind: type[BoardwrightError]
) -> None:
    with pytest.raises(kind) as caught:
        prepared(tmp_path, dynamic(), shapes=shapes)
    assert caught.value.reason == reason


def test_an_output_whose_shape_depends_on_data_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [1, "n"])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelRefused) as caught:
        prepared(tmp_path, made)
    assert caught.value.reason == "data-dependent-shape"


def test_given_inputs_are_used_as_they_are(tmp_path: Path) -> None:
    given = tmp_path / "in.npz"
    x = np.full((1, 3, 9, 7), 0.25, np.float32)
    np.savez(given, x=x)
    folder = prepared(tmp_path, conv_bn_relu(), given=given)
    np.testing.assert_array_equal(np.load(folder / "check/inputs/x.npy"), x)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"x": np.zeros((1, 3, 9, 8), np.float32)},
        {"x": np.zeros((1, 3, 9, 7), np.float64)},
        {"x": np.zeros((1, 3, 9, 7), np.float32), "extra": np.zeros(1)},
    ],
    ids=["missing", "shape", "type", "surplus"],
)
def test_given_inputs_must_be_the_models(tmp_path: Path, arrays: dict[str, Any]) -> None:
    given = tmp_path / "in.npz"
    np.savez(given, **arrays)
    with pytest.raises(UsageError) as caught:
        prepared(tmp_path, conv_bn_relu(), given=given)
    assert caught.value.reason == "bad-inputs"


def test_an_npz_that_is_none_is_said(tmp_path: Path) -> None:
    given = tmp_path / "in.npz"
    given.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(UsageError) as caught:
        prepared(tmp_path, conv_bn_relu(), given=given)
    assert caught.value.reason == "bad-inputs"


@pytest.mark.parametrize("opset", [7, 9, 11])
def test_old_operator_sets_are_upgraded(tmp_path: Path, opset: int) -> None:
    made = model(
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Softmax", ["r"], ["y"], axis=1),
        ],
        inputs={"x": [2, 5]},
        outputs={"y": [2, 5]},
        opset=opset,
    )
    folder = prepared(tmp_path, made)
    versions = {o.domain: o.version for o in onnx.load(folder / "model.onnx").opset_import}
    assert versions[""] == 13


def test_room_is_made_for_constants_that_a_model_computes(tmp_path: Path) -> None:
    """Weights may be written as a shape and one number: the file tells nothing of their size."""
    made = model(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
            helper.make_node("Exp", ["zeros"], ["ones"]),
            helper.make_node("Add", ["x", "ones"], ["y"]),
        ],
        inputs={"x": [200, 300]},
        outputs={"y": [200, 300]},
        weights={"shape": np.array([200, 300])},
    )
    onnx.save(made, tmp_path / "source.onnx")
    (tmp_path / "out").mkdir()
    asked: list[int] = []
    prepare(
        tmp_path / "source.onnx",
        seed=0,
        output=tmp_path / "out",
        log=lambda _: None,
        allow_memory=asked.append,
    )
    folded = 2 * 200 * 300 * 4
    assert len(asked) == 1
    assert folded <= asked[0] <= 8 * folded


FLOAT16, DOUBLE, BOOL = TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, FLOAT16, DOUBLE, BOOL, TensorProto.BFLOAT16])
def test_an_input_may_be_a_scalar_of_any_type(tmp_path: Path, dtype: int) -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["t"], ["y"], to=TensorProto.FLOAT)],
        "g",
        [helper.make_tensor_value_info("t", dtype, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = prepared(tmp_path, made)
    assert np.load(folder / "check/inputs/t.npy").shape == ()


def test_an_output_may_be_an_input_or_a_weight(tmp_path: Path) -> None:
    weight = np.asarray([[1, 2, 3]], np.float32)
    made = model(
        [helper.make_node("Relu", ["x"], ["y"])],
        inputs={"x": [2, 3]},
        outputs={"y": [2, 3], "x": [2, 3], "w": [1, 3]},
        weights={"w": weight},
    )
    folder = prepared(tmp_path, made)
    files = {path.stem: np.load(path) for path in (folder / "check/expected").iterdir()}
    assert len(files) == 3
    np.testing.assert_array_equal(files["w"], weight)
    x = np.load(folder / "check/inputs/x.npy")
    assert any(np.array_equal(x, value) for value in files.values())


def test_an_open_input_that_is_an_output_is_bound_in_both_places(tmp_path: Path) -> None:
    made = model(
        [helper.make_node("Relu", ["x"], ["y"])],
        inputs={"x": ["n", 3]},
        outputs={"y": ["n", 3], "x": ["n", 3]},
    )
    folder = prepared(tmp_path, made, shapes={"x": (4, 3)})
    assert {np.load(p).shape for p in (folder / "check/expected").iterdir()} == {(4, 3)}


@pytest.mark.parametrize("declared", [[7, 2], [2], [2, 3, 1], []])
def test_shapes_that_outputs_are_declared_with_are_hints(
    tmp_path: Path, declared: list[int]
) -> None:
    made = model(
        [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Neg", ["h"], ["y"])],
        inputs={"x": [2, 3]},
        outputs={"y": [2, 3]},
    )
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, declared))
    made.graph.value_info.append(
        helper.make_tensor_value_info("h", TensorProto.FLOAT, [9, *declared])
    )
    folder = prepared(tmp_path, made)
    assert np.load(folder / "check/expected/y.npy").shape == (2, 3)
    found = json.loads((folder / "cautions.json").read_text())
    assert [(one["reason"], one["output"]) for one in found] == [("declared-shape", "y")]


def test_an_operator_set_may_be_named_twice(tmp_path: Path) -> None:
    made = conv_bn_relu()
    made.opset_import.append(helper.make_opsetid("", 17))
    made.opset_import.append(helper.make_opsetid("ai.onnx", 17))
    assert operators(prepared(tmp_path, made)) == ["Conv", "Relu"]


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml"])
def test_two_versions_of_an_operator_set_are_refused(tmp_path: Path, domain: str) -> None:
    made = conv_bn_relu()
    made.opset_import.append(helper.make_opsetid(domain, 3))
    made.opset_import.append(helper.make_opsetid(domain, 2))
    with pytest.raises(ModelRefused) as caught:
        prepared(tmp_path, made)
    assert caught.value.reason == "invalid-graph" and "and" in str(caught.value.why)


@pytest.mark.parametrize("shape", [[1, 3, 7, 9], None])
def test_what_is_unpooled_has_the_shape_that_is_given(
    tmp_path: Path, shape: list[int] | None
) -> None:
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    given = {} if shape is None else {"shape": np.asarray(shape)}
    made = model(
        [
            helper.make_node("MaxPool", ["x"], ["p", "i"], **window),
            helper.make_node("MaxUnpool", ["p", "i", *given], ["u"], **window),
            helper.make_node("Relu", ["u"], ["y"]),
        ],
        inputs={"x": [1, 3, 6, 8]},
        outputs={"y": None},
        weights=given,
    )
    folder = prepared(tmp_path, made)
    x = np.load(folder / "check/inputs/x.npy")
    np.testing.assert_array_equal(
        run(folder, {"x": x})[0], np.load(folder / "check/expected/y.npy")
    )


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
@pytest.mark.parametrize("operator", ["Hardmax", "Softmax", "LogSoftmax"])
def test_before_operator_set_13_they_go_over_all_axes_from_one_on(
    tmp_path: Path, operator: str, axis: int | None
) -> None:
    options = {} if axis is None else {"axis": axis}
    made = model(
        [helper.make_node(operator, ["x"], ["y"], **options)],
        inputs={"x": [2, 3, 4]},
        outputs={"y": [2, 3, 4]},
        opset=11 if axis != -1 else 12,
    )
    folder = prepared(tmp_path, made)
    x = np.load(folder / "check/inputs/x.npy")
    expected = np.load(folder / "check/expected/y.npy")
    np.testing.assert_allclose(run(folder, {"x": x})[0], expected, rtol=1e-5, atol=1e-6)


def test_what_an_older_operator_becomes_takes_no_name_of_the_model(tmp_path: Path) -> None:
    made = model(
        [
            helper.make_node("Hardmax", ["x"], ["y"], axis=1),
            helper.make_node("Add", ["y", "y.rows"], ["z"]),
        ],
        inputs={"x": [2, 3, 4], "y.rows": [2, 3, 4]},
        outputs={"z": [2, 3, 4]},
        opset=11,
    )
    folder = prepared(tmp_path, made)
    expected = np.load(next((folder / "check/expected").iterdir()))
    feed = {"x": np.load(folder / "check/inputs/x.npy")}
    feed["y.rows"] = np.load(next((folder / "check/inputs").glob("y*")))
    np.testing.assert_allclose(run(folder, feed)[0], expected, rtol=1e-5, atol=1e-6)


def test_shapes_behind_a_wrong_declaration_follow_from_those_of_the_inputs(tmp_path: Path) -> None:
    make = helper.make_node
    nodes = [
        make("Shape", ["x"], ["extents"]),
        make("Gather", ["extents", "last"], ["width"]),
        make("Concat", ["width", "five"], ["wanted"], axis=0),
        make("ConstantOfShape", ["wanted"], ["zeros"]),
        make("Concat", ["minus", "width"], ["flat"], axis=0),
        make("Reshape", ["x", "flat"], ["rows"]),
        make("MatMul", ["rows", "zeros"], ["y"]),
    ]
    weights = {"last": np.asarray([2]), "five": np.asarray([5]), "minus": np.asarray([-1])}
    made = model(nodes, inputs={"x": [1, 4, "width"]}, outputs={"y": ["n", "m"]}, weights=weights)
    wrong = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "sequence", 7])
    made.graph.output[0].CopyFrom(wrong)
    folder = prepared(tmp_path, made, shapes={"x": (1, 4, 6)})
    assert np.load(folder / "check/expected/y.npy").shape == (4, 5)


def with_outside_weights(folder: Path) -> Path:
    weight = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[2])
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="sub/w.bin")
    made = model(
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])], inputs={"x": [2]}, outputs={"y": [2]}
    )
    made.graph.node[0].input[1] = "w"
    made.graph.initializer.append(weight)
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "w.bin").write_bytes(bytes(8))
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    return folder / "m.onnx"


def digests_of(folder: Path, *names: str) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@pytest.mark.parametrize("swapped", ["file", "folder", "content", "model"])
def test_files_are_used_only_as_they_were_surveyed(tmp_path: Path, swapped: str) -> None:
    folder, output = tmp_path / "model", tmp_path / "output"
    file = with_outside_weights(folder)
    output.mkdir()
    surveyed = digests_of(folder, "m.onnx", "sub/w.bin")
    prepare(file, seed=0, output=output, log=lambda _: None, digests=surveyed)
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "w.bin").write_bytes(bytes(8))  # even where it says the same
    match swapped:
        case "file":
            (folder / "sub" / "w.bin").unlink()
            (folder / "sub" / "w.bin").symlink_to(secret / "w.bin")
        case "folder":
            (folder / "sub").rename(folder / "aside")
            (folder / "sub").symlink_to(secret)
        case "content":
            (folder / "sub" / "w.bin").write_bytes(b"\1" * 8)
        case "model":
            file.write_bytes(file.read_bytes().replace(b"Add", b"Sub"))
    with pytest.raises(BuildFailed) as caught:
        prepare(file, seed=0, output=output, log=lambda _: None, digests=surveyed)
    assert caught.value.reason == "source-changed"


def test_weights_that_nothing_uses_cost_no_time(tmp_path: Path) -> None:
    made = model(
        [onnx.helper.make_node("Relu", ["x"], ["y"])], inputs={"x": [2]}, outputs={"y": [2]}
    )
    one = onnx.numpy_helper.from_array(np.ones(4, np.float32))
    for number in range(20_000):
        one.name = f"w{number}"
        made.graph.initializer.append(one)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    (tmp_path / "out").mkdir()
    before_s = time.process_time()
    prepare(tmp_path / "m.onnx", seed=0, output=tmp_path / "out", log=lambda _: None)
    assert time.process_time() - before_s < 5
