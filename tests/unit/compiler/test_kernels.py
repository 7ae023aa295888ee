"""Every kernel family against ONNX Runtime, over shapes that no block divides."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.unit.compiler.execution import VERSIONS, errors
from tests.unit.compiler.models import model

CLOSE = 2e-5
"""Of the largest output. Winograd's transforms cost a digit against direct sums."""


def runs_here(lanes: int) -> bool:
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    return {4: "sse4_2", 8: "avx2", 16: "avx512f"}[lanes] in flags


LANES = [
    pytest.param(
        lanes, marks=pytest.mark.skipif(not runs_here(lanes), reason=f"no {VERSIONS[lanes]} CPU")
    )
    for lanes in VERSIONS
]


def values(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check(made: onnx.ModelProto, lanes: int, cores: int = 1) -> list[str]:
    """Compile and run; return the lines that tell of a schedule that did not fit."""
    with tempfile.TemporaryDirectory() as folder:
        result = errors(made, Path(folder), lanes=lanes, cores=cores)
    assert max(result["outputs"]) < CLOSE
    return [line for line in result["log"] if "does not fit" in line]


def conv_chain(
    channels: int,
    out: int,
    height: int,
    width: int,
    *,
    kernel: tuple[int, int] = (3, 3),
    strides: tuple[int, int] = (1, 1),
    dilations: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (1, 1, 1, 1),
    groups: int = 1,
) -> onnx.ModelProto:
    """Return Conv 1x1 -> Relu -> the convolution in question with bias -> Relu.

    The first makes the second's input blocked, as it is inside any network.
    """
    weights = {
        "w0": values(channels, 3, 1, 1),
        "w": values(out, channels // groups, *kernel, seed=1),
        "b": values(out, seed=2),
    }
    attributes: dict[str, Any] = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "group": groups,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["c0"]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w", "b"], ["c1"], **attributes),
        helper.make_node("Relu", ["c1"], ["y"]),
    ]
    return model(nodes, inputs={"x": [1, 3, height, width]}, outputs={"y": None}, weights=weights)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    "made",
    [
        conv_chain(16, 16, 9, 7),
        conv_chain(5, 19, 11, 13),
        conv_chain(32, 24, 8, 8, kernel=(1, 1), pads=(0, 0, 0, 0)),
        conv_chain(16, 32, 15, 17, strides=(2, 2)),
        conv_chain(16, 8, 12, 12, kernel=(5, 3), dilations=(2, 1), pads=(4, 1, 4, 1)),
        conv_chain(7, 7, 10, 9, groups=7),
        conv_chain(32, 32, 10, 9, groups=32, strides=(2, 1)),
        conv_chain(32, 64, 6, 6, groups=2),
        conv_chain(12, 24, 6, 6, groups=3),
        conv_chain(48, 48, 9, 7, groups=6),
        conv_chain(56, 56, 7, 6, groups=7, strides=(2, 2)),
        conv_chain(72, 48, 6, 5, groups=3),
        conv_chain(9, 27, 6, 5, groups=9),
        conv_chain(16, 32, 9, 8, groups=16, strides=(2, 2)),
        conv_chain(68, 136, 9, 8, groups=4, kernel=(1, 1), pads=(0, 0, 0, 0)),
        conv_chain(48, 72, 7, 6, groups=2, strides=(2, 1)),
        conv_chain(80, 72, 5, 6, groups=2),
        conv_chain(1, 1, 9, 8),
        conv_chain(24, 40, 9, 7),
    ],
    ids=[
        "even",
        "odd",
        "pointwise",
        "strided",
        "dilated",
        "depthwise-odd",
        "depthwise-strided",
        "grouped",
        "grouped-odd",
        "groups-in-a-block",
        "groups-beyond-a-block",
        "groups-across-blocks",
        "depth-multiplier",
        "depth-multiplier-strided",
        "groups-end-in-blocks",
        "groups-end-in-blocks-strided",
        "groups-end-in-blocks-padded",
        "one-channel",
        "half-a-block",
    ],
)
def test_convolutions(made: onnx.ModelProto, lanes: int) -> None:
    assert check(made, lanes) == []


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    "made",
    [
        conv_chain(5, 19, 21, 67),
        conv_chain(16, 16, 20, 130, strides=(2, 2)),
        conv_chain(16, 16, 18, 70, kernel=(5, 3), dilations=(1, 2), pads=(2, 3, 1, 2)),
        conv_chain(16, 16, 17, 66, pads=(0, 1, 0, 0)),
        conv_chain(20, 20, 33, 67, groups=20),
        conv_chain(16, 16, 24, 130, groups=16, strides=(2, 2), pads=(0, 0, 1, 1)),
        conv_chain(16, 16, 21, 80, groups=16, kernel=(5, 5), pads=(2, 2, 2, 2)),
    ],
    ids=["odd", "strided", "dilated", "one-edge", "depthwise", "depthwise-strided", "depthwise-5"],
)
def test_wide_images_are_cut_at_their_edges(made: onnx.ModelProto, lanes: int, cores: int) -> None:
    assert check(made, lanes, cores) == []


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("lanes", LANES)
def test_a_first_layer_is_cut_at_its_edges(lanes: int, cores: int) -> None:
    made = model(
        [helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[0, 1, 1, 2])],
        inputs={"x": [2, 3, 37, 150]},
        outputs={"y": None},
        weights={"w": values(19, 3, 3, 3)},
    )
    assert check(made, lanes, cores) == []


@pytest.mark.parametrize("lanes", LANES)
def test_a_split_over_cores_computes_the_same(lanes: int) -> None:
    assert check(conv_chain(32, 64, 40, 40), lanes, cores=4) == []


def product(rows: int, depth: int, columns: int) -> onnx.ModelProto:
    """Return MatMul with constant weights, bias and GELU's Erf behind it."""
    return model(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Add", ["m", "b"], ["s"]),
            helper.make_node("Erf", ["s"], ["y"]),
        ],
        inputs={"x": [rows, depth]},
        outputs={"y": None},
        weights={
            "w": values(depth, columns) / np.float32(depth**0.5),
            "b": values(columns, seed=1),
        },
    )


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    "shape", [(1, 64, 64), (1, 30, 10), (13, 48, 40), (32, 17, 33), (64, 64, 96), (7, 5, 3)]
)
def test_products_with_weights(shape: tuple[int, int, int], lanes: int) -> None:
    assert check(product(*shape), lanes) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("lead", [(29, 1), (1, 24, 1), (3, 1, 2), (1, 1, 1)])
def test_batches_of_one_row(lead: tuple[int, ...], lanes: int) -> None:
    """They are the rows of one product; its epilogue takes them apart again."""
    made = model(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Add", ["m", "r"], ["s"]),
            helper.make_node("Erf", ["s"], ["y"]),
        ],
        inputs={"x": [*lead, 30], "r": [*lead, 40]},
        outputs={"y": None},
        weights={"w": values(30, 40)},
    )
    assert check(made, lanes, cores=4) == []


def test_a_product_of_what_is_known_is_known() -> None:
    """As between learned queries and their weights, which onnxsim leaves where they are large."""
    made = model(
        [
            helper.make_node("MatMul", ["q", "w"], ["m"]),
            helper.make_node("Add", ["x", "m"], ["y"]),
        ],
        inputs={"x": [5, 1, 12]},
        outputs={"y": None},
        weights={"q": values(5, 1, 20), "w": values(20, 12, seed=1)},
    )
    assert check(made, 4) == []


def test_a_remainder_in_a_branch_is_computed_right() -> None:
    """LLVM vectorised the loop below across its branch, and read the neighbour's row."""
    made = model(
        [
            helper.make_node("Reshape", ["x", "shape"], ["r"]),
            helper.make_node("Sigmoid", ["r"], ["s"]),
            helper.make_node("Concat", ["y", "s"], ["z"], axis=2),
        ],
        inputs={"x": [100, 4], "y": [1, 100, 92]},
        outputs={"z": None},
        weights={"shape": np.array([1, 100, 4])},
    )
    assert check(made, 16 if runs_here(16) else 4) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    ("rows", "columns"), [((1, 1), 1000), ((1, 100), 92), ((4, 97), 90), ((3, 100), 90)]
)
def test_products_of_partial_panels_split_over_cores(
    rows: tuple[int, int], columns: int, lanes: int
) -> None:
    made = model(
        [helper.make_node("MatMul", ["x", "w"], ["z"])],
        inputs={"x": [*rows, 256]},
        outputs={"z": None},
        weights={"w": values(256, columns)},
    )
    assert check(made, lanes, cores=4) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("shape", [(2, 3, 16, 8, 16), (1, 2, 9, 5, 11), (3, 1, 33, 32, 20)])
def test_products_of_activations(shape: tuple[int, ...], lanes: int) -> None:
    a, b, rows, depth, columns = shape
    made = model(
        [helper.make_node("MatMul", ["x", "y"], ["m"]), helper.make_node("Tanh", ["m"], ["z"])],
        inputs={"x": [a, b, rows, depth], "y": [a, b, depth, columns]},
        outputs={"z": None},
    )
    assert check(made, lanes) == []


def test_products_of_activations_split_over_cores() -> None:
    """Rows and columns that no tile divides, so that only the batch can be split."""
    made = model(
        [helper.make_node("MatMul", ["x", "y"], ["z"])],
        inputs={"x": [1, 3, 97, 64], "y": [1, 3, 64, 101]},
        outputs={"z": None},
    )
    assert check(made, 8 if runs_here(8) else 4, cores=4) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("shape", [(4, 32), (2, 3, 17), (5, 100), (1, 197)])
def test_rows(shape: tuple[int, ...], lanes: int) -> None:
    """Softmax of any length; layer normalisation with its epilogue."""
    made = model(
        [
            helper.make_node("Softmax", ["x"], ["s"], axis=-1),
            helper.make_node("LayerNormalization", ["x", "g", "b"], ["n"], axis=-1),
            helper.make_node("Sigmoid", ["n"], ["y"]),
        ],
        inputs={"x": list(shape)},
        outputs={"s": None, "y": None},
        weights={"g": values(shape[-1]), "b": values(shape[-1], seed=1)},
    )
    assert check(made, lanes) == []


REDUCED = [
    ((8, 768), (1,)),
    ((3, 5, 48), (2,)),
    ((2, 3, 8, 6), (2, 3)),
    ((1, 1, 4096), (2,)),
    ((4, 20), (1,)),
    ((4, 7), (1,)),
    ((16, 64), (0,)),
    ((5, 64, 3), (1,)),
    ((2, 32, 6, 5), (1,)),
]


@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceMax", "ReduceL2", "ReduceProd"])
@pytest.mark.parametrize(("shape", "axes"), REDUCED)
def test_reductions(operator: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    """Along rows, over results, of lengths that no vector divides."""
    made = model(
        [
            helper.make_node("Abs", ["x"], ["a"]),
            helper.make_node(operator, ["a"], ["y"], axes=axes),
        ],
        inputs={"x": [*shape]},
        outputs={"y": None},
    )
    for lanes, cores in ((16 if runs_here(16) else 4, 1), (4, 4)):
        assert check(made, lanes, cores) == []


@pytest.mark.parametrize("lanes", LANES)
def test_softmax_of_huge_values_is_a_distribution(lanes: int) -> None:
    """The largest of a row is taken off before anything is rounded."""
    made = model(
        [
            helper.make_node("Mul", ["x", "huge"], ["m"]),
            helper.make_node("Softmax", ["m"], ["y"], axis=-1),
        ],
        inputs={"x": [3, 1000]},
        outputs={"y": None},
        weights={"huge": np.array(1e20, "f4")},
    )
    assert check(made, lanes) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("ceil", [0, 1])
def test_pools(operator: str, ceil: int, lanes: int) -> None:
    attributes: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": ceil}
    made = model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node(operator, ["c"], ["p"], pads=[1, 1, 1, 1], **attributes),
            helper.make_node("GlobalAveragePool", ["p"], ["g"]),
            helper.make_node("Mul", ["p", "g"], ["y"]),
        ],
        inputs={"x": [1, 3, 12, 10]},
        outputs={"y": None},
        weights={"w": values(19, 3, 1, 1)},
    )
    assert check(made, lanes) == []


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("window", [2, 3, 9], ids=["even", "odd", "large"])
def test_pools_of_wide_images(window: int, operator: str, lanes: int, cores: int) -> None:
    made = model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node(operator, ["c"], ["y"], kernel_shape=[window] * 2, pads=[1, 0, 1, 1]),
        ],
        inputs={"x": [1, 3, 21, 70]},
        outputs={"y": None},
        weights={"w": values(19, 3, 1, 1)},
    )
    assert check(made, lanes, cores) == []


def responses(channels: int, height: int, width: int, size: int, beta: float) -> onnx.ModelProto:
    """Return Conv 1x1 -> LRN -> Conv 1x1: in blocks before, within and behind."""
    return model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("LRN", ["c"], ["r"], size=size, alpha=2.0, beta=beta, bias=1.5),
            helper.make_node("Conv", ["r", "u"], ["y"]),
        ],
        inputs={"x": [1, 3, height, width]},
        outputs={"y": None},
        weights={"w": values(channels, 3, 1, 1), "u": values(2, channels, 1, 1, seed=1)},
    )


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    channels=st.integers(1, 50),
    height=st.integers(1, 5),
    width=st.integers(1, 40),
    size=st.sampled_from([1, 3, 5, 7]),
    beta=st.floats(0.25, 2.0),
)
@pytest.mark.parametrize("lanes", LANES)
def test_any_local_response(
    lanes: int, channels: int, height: int, width: int, size: int, beta: float
) -> None:
    assert check(responses(channels, height, width, size, beta), lanes) == []


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("lanes", LANES)
def test_a_local_response_that_is_cut_in_columns(lanes: int, cores: int) -> None:
    assert check(responses(50, 30, 55, 5, 0.75), lanes, cores) == []


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    channels=st.integers(1, 40),
    out=st.integers(1, 40),
    height=st.integers(3, 20),
    width=st.integers(3, 20),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_any_convolution(
    channels: int,
    out: int,
    height: int,
    width: int,
    kernel: tuple[int, int],
    strides: tuple[int, int],
) -> None:
    made = conv_chain(channels, out, height, width, kernel=kernel, strides=strides)
    assert check(made, 8 if runs_here(8) else 4) == []


@pytest.mark.parametrize("lanes", LANES)
def test_clip_keeps_nan_and_stays_in_blocks(lanes: int) -> None:
    weights = values(16, 3, 1, 1)
    weights[3, 0, 0, 0] = np.nan
    made = model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("Clip", ["c", "low", "high"], ["y"], name="clip"),
        ],
        inputs={"x": [1, 3, 8, 8]},
        outputs={"y": None},
        weights={"w": weights, "low": np.array(0, "f4"), "high": np.array(6, "f4")},
    )
    with tempfile.TemporaryDirectory() as folder:
        result = errors(made, Path(folder), lanes=lanes)
    assert result["nan_agrees"] == [True]
    assert [line for line in result["log"] if "does not fit" in line] == []


@pytest.mark.parametrize("lanes", LANES)
def test_padding_never_poisons_real_channels(lanes: int) -> None:
    """Zero over zero in a padding channel must not reach a later convolution as NaN."""
    made = model(
        [
            helper.make_node("Conv", ["x", "v"], ["a"]),
            helper.make_node("Conv", ["x", "w"], ["b"]),
            helper.make_node("Div", ["a", "b"], ["q"]),
            helper.make_node("Conv", ["q", "u"], ["y"]),
        ],
        inputs={"x": [1, 3, 6, 6]},
        outputs={"y": None},
        weights={
            "v": values(5, 3, 1, 1),
            "w": values(5, 3, 1, 1, seed=1),
            "u": values(5, 5, 1, 1, seed=2),
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        assert errors(made, Path(folder), lanes=lanes)["nan_agrees"] == [True]


@pytest.mark.parametrize("lanes", LANES)
def test_a_scale_by_channel_works_on_either_side(lanes: int) -> None:
    made = model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("GlobalAveragePool", ["c"], ["g"]),
            helper.make_node("Sigmoid", ["g"], ["s"]),
            helper.make_node("Mul", ["s", "c"], ["y"]),
        ],
        inputs={"x": [1, 3, 9, 7]},
        outputs={"y": None},
        weights={"w": values(19, 3, 3, 3)},
    )
    assert check(made, lanes) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenations(axis: int, lanes: int) -> None:
    """Parts of uneven length, one of them moved and computed on the way in."""
    parts = {"a": [6, 5, 7], "b": [6, 5, 7], "c": [7, 6, 5]}
    made = model(
        [
            helper.make_node("Transpose", ["c"], ["t"], perm=[1, 2, 0]),
            helper.make_node("Sigmoid", ["t"], ["s"]),
            helper.make_node("Concat", ["a", "s", "b", "a"], ["j"], axis=axis),
            helper.make_node("Relu", ["j"], ["y"]),
        ],
        inputs=parts,
        outputs={"y": None},
    )
    assert check(made, lanes, cores=4) == []


@pytest.mark.parametrize("lanes", LANES)
def test_channels_are_sliced_out_of_blocks(lanes: int) -> None:
    made = model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("Slice", ["c", "one", "nine", "axis"], ["y"]),
            helper.make_node("Slice", ["c", "one", "nine", "axis", "two"], ["z"]),
        ],
        inputs={"x": [1, 3, 6, 5]},
        outputs={"y": None, "z": None},
        weights={
            "w": values(19, 3, 1, 1),
            **{k: np.array([v]) for k, v in {"one": 1, "two": 2, "nine": 9, "axis": 1}.items()},
        },
    )
    assert check(made, lanes) == []


@pytest.mark.parametrize("lanes", LANES)
def test_a_sum_of_several_stays_in_blocks(lanes: int) -> None:
    made = model(
        [
            helper.make_node("Conv", ["x", "v"], ["a"]),
            helper.make_node("Conv", ["x", "w"], ["b"]),
            helper.make_node("Sum", ["a", "b", "c"], ["s"]),
            helper.make_node("Relu", ["s"], ["y"]),
        ],
        inputs={"x": [1, 3, 6, 5]},
        outputs={"y": None},
        weights={"v": values(19, 3, 1, 1), "w": values(19, 3, 1, 1), "c": values(1, 19, 1, 1)},
    )
    assert check(made, lanes) == []


def test_a_large_image_by_large_weights(lanes: int = 16 if runs_here(16) else 4) -> None:
    """Rows come first, though the weights fill more than a cache."""
    made = conv_chain(288, 256, 40, 40, kernel=(1, 1), pads=(0, 0, 0, 0))
    assert check(made, lanes) == []


@pytest.mark.parametrize("lanes", LANES)
def test_many_channels_of_a_plain_image_are_blocked_first(lanes: int) -> None:
    made = model(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        inputs={"x": [1, 20, 8, 8]},
        outputs={"y": None},
        weights={"w": values(24, 20, 3, 3)},
    )
    with tempfile.TemporaryDirectory() as folder:
        result = errors(made, Path(folder), lanes=lanes)
    assert max(result["outputs"]) < CLOSE
    assert "block" in result["kernels"]


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_of_what_is_known_is_known(groups: int) -> None:
    """As of embeddings of positions, which weights in a file keep from being folded."""
    made = model(
        [
            helper.make_node(
                "Conv",
                ["image", "w"],
                ["c"],
                group=groups,
                strides=[2, 1],
                dilations=[1, 2],
                pads=[1, 2, 0, 1],
            ),
            helper.make_node("Add", ["x", "c"], ["y"]),
        ],
        inputs={"x": [1, 6, 4, 8]},
        outputs={"y": None},
        weights={"image": values(1, 4, 8, 9), "w": values(6, 4 // groups, 2, 3, seed=1)},
    )
    with tempfile.TemporaryDirectory() as folder:
        result = errors(made, Path(folder), lanes=4)
    assert max(result["outputs"]) < CLOSE
    assert not any("conv" in kernel for kernel in result["kernels"])


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("channels", [32, 20])
def test_rows_become_images_and_rows_again(channels: int, lanes: int) -> None:
    """A token for each pixel, as between attention and convolutions."""
    shapes = {"image": np.array([1, channels, 6, 8]), "flat": np.array([1, channels, 48])}
    made = model(
        [
            helper.make_node("MatMul", ["x", "m"], ["rows"]),
            helper.make_node("Transpose", ["rows"], ["t"], perm=[0, 2, 1]),
            helper.make_node("Reshape", ["t", "image"], ["i"]),
            helper.make_node("Conv", ["i", "w"], ["d"], pads=[1, 1, 1, 1], group=channels),
            helper.make_node("Reshape", ["d", "flat"], ["f"]),
            helper.make_node("Transpose", ["f"], ["y"], perm=[0, 2, 1]),
        ],
        inputs={"x": [1, 48, 16]},
        outputs={"y": None},
        weights={"m": values(16, channels), "w": values(channels, 1, 3, 3, seed=1), **shapes},
    )
    with tempfile.TemporaryDirectory() as folder:
        result = errors(made, Path(folder), lanes=lanes, cores=4)
    assert max(result["outputs"]) < CLOSE
    assert any("rows_to_blocks" in kernel for kernel in result["kernels"]) == (
        channels % lanes == 0
    )


@pytest.mark.parametrize("lanes", LANES)
def test_rows_are_resized_and_joined_in_blocks(lanes: int) -> None:
    """The head of a segmenting transformer: rows of several sizes become one image."""
    sizes = {"a": 4, "b": 2}
    nodes = []
    for name in sizes:
        nodes += [
            helper.make_node("Transpose", [name], [f"{name}t"], perm=[0, 2, 1]),
            helper.make_node("Reshape", [f"{name}t", f"{name}s"], [f"{name}i"]),
            helper.make_node("Resize", [f"{name}i", "", "", "eight"], [f"{name}r"], mode="linear"),
        ]
    made = model(
        [
            *nodes,
            helper.make_node("Concat", ["ar", "br"], ["c"], axis=1),
            helper.make_node("Conv", ["c", "w"], ["y"]),
        ],
        inputs={name: [1, size * size, 32] for name, size in sizes.items()},
        outputs={"y": None},
        weights={
            "w": values(24, 64, 1, 1),
            "eight": np.array([1, 32, 8, 8]),
            **{f"{name}s": np.array([1, 32, size, size]) for name, size in sizes.items()},
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        result = errors(made, Path(folder), lanes=lanes)
    assert max(result["outputs"]) < CLOSE
    assert not any("does not fit" in line for line in result["log"])
    assert "block" not in result["kernels"]


@pytest.mark.parametrize("lanes", LANES)
def test_channel_shuffles(lanes: int) -> None:
    """Channels change places between blocks; the second convolution takes them by group."""
    made = model(
        [
            helper.make_node("Conv", ["x", "v"], ["a"]),
            helper.make_node("Reshape", ["a", "apart"], ["g"]),
            helper.make_node("Transpose", ["g"], ["t"], perm=[0, 2, 1, 3, 4]),
            helper.make_node("Reshape", ["t", "together"], ["s"]),
            helper.make_node("Conv", ["s", "w"], ["y"], group=3),
        ],
        inputs={"x": [1, 3, 7, 9]},
        outputs={"y": None},
        weights={
            "v": values(60, 3, 1, 1),
            "w": values(30, 20, 1, 1),
            "apart": np.array([1, 3, 20, 7, 9]),
            "together": np.array([1, 60, 7, 9]),
        },
    )
    assert check(made, lanes, cores=4) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "extra"),
    [(2, 2, 0, 0), (3, 2, 1, 1), (4, 2, 1, 0), (5, 3, 2, 0), (3, 1, 1, 0), (1, 2, 0, 1)],
)
def test_transposed_convolutions(
    kernel: int, stride: int, pad: int, extra: int, lanes: int
) -> None:
    made = model(
        [
            helper.make_node("Conv", ["x", "v"], ["a"]),
            helper.make_node(
                "ConvTranspose",
                ["a", "w", "b"],
                ["c"],
                strides=[stride, stride],
                pads=[pad] * 4,
                output_padding=[extra, 0],
            ),
            helper.make_node("Relu", ["c"], ["y"]),
        ],
        inputs={"x": [1, 3, 5, 6]},
        outputs={"y": None},
        weights={
            "v": values(9, 3, 1, 1),
            "w": values(9, 19, kernel, kernel, seed=1),
            "b": values(19, seed=2),
        },
    )
    assert check(made, lanes) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("groups", [1, 4])
def test_sequences_are_images_of_one_row(groups: int, lanes: int) -> None:
    """Convolutions in blocks, a bias by channel, a residual, and back to rows."""
    made = model(
        [
            helper.make_node("Conv", ["x", "v"], ["a"], pads=[1, 1]),
            helper.make_node("Sigmoid", ["a"], ["s"]),
            helper.make_node(
                "Conv", ["s", "w", "b"], ["c"], pads=[2, 1], strides=[2], group=groups
            ),
            helper.make_node("Mul", ["c", "scale"], ["m"]),
            helper.make_node("Add", ["m", "r"], ["d"]),
            helper.make_node("Concat", ["d", "c"], ["j"], axis=1),
            helper.make_node("Transpose", ["j"], ["y"], perm=[0, 2, 1]),
        ],
        inputs={"x": [1, 3, 22], "r": [1, 20, 12]},
        outputs={"y": None},
        weights={
            "v": values(20, 3, 3),
            "w": values(20, 20 // groups, 3, seed=1),
            "b": values(20, seed=2),
            "scale": values(20, 1, seed=3),
        },
    )
    assert check(made, lanes) == []


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    ("mode", "where"),
    [("nearest", "asymmetric"), ("linear", "half_pixel"), ("linear", "align_corners")],
)
def test_resizing_in_blocks(mode: str, where: str, lanes: int) -> None:
    made = model(
        [
            helper.make_node("Conv", ["x", "v"], ["a"]),
            helper.make_node(
                "Resize",
                ["a", "", "scales"],
                ["r"],
                mode=mode,
                coordinate_transformation_mode=where,
                nearest_mode="floor",
            ),
            helper.make_node("Conv", ["r", "w"], ["y"]),
        ],
        inputs={"x": [1, 3, 5, 6]},
        outputs={"y": None},
        weights={
            "v": values(19, 3, 1, 1),
            "w": values(5, 19, 1, 1, seed=1),
            "scales": np.array([1, 1, 2, 1.5], "f4"),
        },
    )
    assert check(made, lanes) == []


@pytest.mark.parametrize("number", [1.4142135, -3.0, 1e-37, 3e38, np.inf])
def test_division_by_one_number(number: float) -> None:
    """Numbers whose inverse keeps its digits, and others."""
    made = model(
        [
            helper.make_node("Mul", ["x", "by"], ["m"]),
            helper.make_node("Div", ["m", "by"], ["y"]),
            helper.make_node("Div", ["x", "by"], ["z"]),
        ],
        inputs={"x": [3, 33]},
        outputs={"y": None, "z": None},
        weights={"by": np.array(number, "f4")},
    )
    with tempfile.TemporaryDirectory() as folder:
        result = errors(made, Path(folder), lanes=4)
    assert result["nan_agrees"] == [True, True]
    assert np.nanmax(result["outputs"]) < CLOSE
