"""Resize and Upsample of every operator set: places, roundings and weights as ONNX Runtime's."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.prepare.pipeline import prepare
from tests.unit.compiler.examples import Array, Example, compare
from tests.unit.compiler.execution import errors

RNG = np.random.default_rng(12)
F = np.float32


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(F)


OLDER: dict[str, tuple[Array, list[float]]] = {
    "one axis": (floats(1, 2, 5), [1, 1, 2.5]),
    "two axes": (floats(1, 2, 5, 7), [1, 1, 2, 3]),
    "two axes by fractions": (floats(1, 2, 5, 7), [1, 1, 1.7, 2.3]),
    "no channels": (floats(5, 7), [2, 3]),
    "channels last": (floats(1, 5, 7, 3), [1, 2, 1.5, 1]),
    "three axes": (floats(1, 2, 3, 4, 5), [1, 1, 2, 1.5, 3]),
}
SHRINKING: dict[str, tuple[Array, list[float]]] = {
    "both shrink": (floats(1, 2, 5, 7), [1, 1, 0.5, 0.4]),
    "one shrinks, one grows": (floats(1, 2, 5, 7), [1, 1, 0.7, 2.3]),
}


def older(opset: int, mode: str, data: Array, scales: list[float]) -> Example:
    attributes: dict[str, Any] = {"mode": mode}
    weights = {"scales": np.asarray(scales, F)}
    if opset < 9:
        attributes["scales"] = list(map(float, scales))
        weights = {}
    return Example(
        operator="Upsample" if opset < 10 else "Resize",
        inputs={"x": data},
        weights=weights,
        attributes=attributes,
        opset=opset,
        stays=True,
    )


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("opset", [7, 8, 9, 10])
def test_before_operator_set_11_places_are_asymmetric(
    tmp_path: Path, opset: int, mode: str
) -> None:
    for number, (data, scales) in enumerate(OLDER.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        compare(folder, older(opset, mode, data, scales))


@pytest.mark.parametrize("case", SHRINKING)
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_the_older_resize_rounds_up_where_it_shrinks(tmp_path: Path, mode: str, case: str) -> None:
    compare(tmp_path, older(10, mode, *SHRINKING[case]))


def test_an_older_resize_of_computed_scales_rounds_by_axis(tmp_path: Path) -> None:
    data = floats(1, 2, 5, 7)
    nodes = [
        helper.make_node("Mul", ["half", "twice"], ["scales"]),
        helper.make_node("Resize", ["x", "scales"], ["y"], mode="nearest"),
    ]
    weights = {"half": np.asarray([2, 0.5, 0.3, 0.8], F), "twice": np.asarray([0.5, 2, 2, 2], F)}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, data.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=5)
    folder = prepared(tmp_path, made)
    x = np.load(folder / "check/inputs/x.npy")
    (found,) = onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"x": x})
    np.testing.assert_array_equal(found, np.load(folder / "check/expected/y.npy"))


def prepared(tmp_path: Path, made: onnx.ModelProto) -> Path:
    source, output = tmp_path / "m.onnx", tmp_path / "out"
    onnx.save(made, source)
    output.mkdir()
    prepare(source, seed=0, output=output, log=lambda _: None)
    return output


NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("nearest", NEAREST)
def test_the_nearest_element_is_the_one_that_float32_gives(
    tmp_path: Path, coordinates: str, nearest: str
) -> None:
    for number, scale in enumerate((0.3, 0.6, 1.3, 1.7, 2.5)):
        folder = tmp_path / str(number)
        folder.mkdir()
        example = Example(
            operator="Resize",
            inputs={"x": floats(1, 1, 17, 10)},
            weights={"scales": np.asarray([1, 1, scale, 1.7], F)},
            order=("x", "", "scales"),
            attributes={
                "coordinate_transformation_mode": coordinates,
                "nearest_mode": nearest,
                "mode": "nearest",
            },
            opset=19,
        )
        compare(folder, example)


def resized(weights: dict[str, Any], opset: int = 18, **attributes: Any) -> Example:
    order = [name if name in weights else "" for name in ("roi", "scales", "sizes")]
    return Example(
        operator="Resize",
        inputs={"x": floats(1, 2, 4, 5)},
        weights={name: np.asarray(value) for name, value in weights.items()},
        order=("x", *order),
        attributes=attributes,
        opset=opset,
    )


ROI = np.asarray([0, 0, 0.1, 0.2, 1, 1, 0.9, 1.1], F)
CROP: dict[str, Any] = {
    "coordinate_transformation_mode": "tf_crop_and_resize",
    "extrapolation_value": 0.5,
}
UNUSUAL = {
    "a crop of one axis only": resized({"roi": ROI, "sizes": [1, 2, 19, 5]}, mode="linear", **CROP),
    "a crop to the nearest, one axis stays": resized({"roi": ROI, "sizes": [1, 2, 4, 3]}, **CROP),
    "scales too small to change anything": resized(
        {"scales": np.asarray([1, 1, 1.2, 1.1], F)}, mode="linear"
    ),
    "TensorFlow's nearest": resized(
        {"roi": np.zeros(0, F), "scales": np.asarray([1, 1, 1.5, 2.5], F)},
        opset=12,
        mode="nearest",
        coordinate_transformation_mode="tf_half_pixel_for_nn",
    ),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_unusual_options_are_as_onnx_runtime_takes_them(tmp_path: Path, case: str) -> None:
    compare(tmp_path, UNUSUAL[case])


LAYOUTS = {
    "channels last": [1, 2, 1.5, 1],
    "channels last, smaller": [1, 0.7, 1.3, 1],
    "channels first": [1, 1, 1.5, 2.3],
    "channels first, smaller": [1, 1, 0.5, 0.7],
}


def of_integers(dtype: str, scales: list[float], coordinates: str) -> onnx.ModelProto:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    node = helper.make_node(
        "Resize",
        ["x", "", "scales"],
        ["y"],
        mode="linear",
        coordinate_transformation_mode=coordinates,
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", element, [1, 7, 9, 8])],
        [helper.make_tensor_value_info("y", element, None)],
        [numpy_helper.from_array(np.asarray(scales, F), "scales")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32"])
def test_integers_are_interpolated_in_onnx_runtimes_order(
    tmp_path: Path, dtype: str, layout: str, coordinates: str
) -> None:
    bounds = (-128, 128) if dtype == "int8" else (0, 256)
    given = RNG.integers(*bounds, (1, 7, 9, 8)).astype(dtype)
    made = of_integers(dtype, LAYOUTS[layout], coordinates)
    folder = prepared(tmp_path, made)
    (found,) = onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"x": given})
    session = onnxruntime.InferenceSession(made.SerializeToString())
    np.testing.assert_array_equal(found, session.run(None, {"x": given})[0])


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_kernels_interpolate_bytes_to_the_last_one(tmp_path: Path, layout: str) -> None:
    made = of_integers("uint8", LAYOUTS[layout], "half_pixel")
    assert errors(made, tmp_path, lanes=16)["outputs"] == [0.0]


@pytest.mark.slow
def test_kernels_of_whole_scales_and_of_interpolation(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, str], tuple[float, float]]] = []
    for coordinates, nearest in itertools.product(COORDINATES, NEAREST):
        options = {"coordinate_transformation_mode": coordinates, "nearest_mode": nearest}
        cases += [({"mode": "nearest", **options}, scales) for scales in ((2, 3), (1, 2))]
    for mode, coordinates in itertools.product(("linear", "cubic"), COORDINATES):
        options = {"mode": mode, "coordinate_transformation_mode": coordinates}
        cases += [(options, scales) for scales in ((3, 1), (0.5, 1.5), (0.2, 0.25))]
    nodes, weights = [], []
    for number, (options, scales) in enumerate(cases):
        weights.append(numpy_helper.from_array(np.asarray([1, 1, *scales], F), f"s{number}"))
        node = helper.make_node("Resize", ["x", "", f"s{number}"], [f"y{number}"], **options)
        nodes.append(node)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 10, 20])],
        [
            helper.make_tensor_value_info(f"y{number}", TensorProto.FLOAT, None)
            for number in range(len(cases))
        ],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    found = errors(made, tmp_path, lanes=8)["outputs"]
    wrong = [case for case, error in zip(cases, found, strict=True) if not error < 2e-5]
    assert wrong == []
