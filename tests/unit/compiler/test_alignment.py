"""Which ONNX value a kernel's tensor shows."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from builder.compiler.alignment import Dumped, align, plain
from builder.compiler.distance import differences
from builder.payload.judging import Expected
from tests.unit.compiler.models import model


def graph() -> onnx.GraphProto:
    made = model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("Relu", ["c"], ["r"], name="relu\n2"),
            helper.make_node("Reshape", ["r", "s"], ["y"], name="reshape"),
        ],
        inputs={"x": [1, 3, 4, 4]},
        outputs={"y": [1, 80]},
        weights={"w": np.ones((5, 3, 1, 1), np.float32), "s": np.array([1, 80], np.int64)},
    )
    return onnx.shape_inference.infer_shapes(made, data_prop=True).graph


def dumped(file: str, *shape: int, nodes: tuple[str, ...], dtype: str = "float32") -> Dumped:
    return Dumped(file=file, kernel=f"k{file}", nodes=nodes, dtype=dtype, shape=shape)


def test_a_fused_kernel_shows_its_last_value_and_the_last_tensor_counts() -> None:
    found = align(
        graph(),
        [
            dumped("0", 1, 5, 4, 4, nodes=("conv",)),
            dumped("1", 1, 5, 4, 4, nodes=("conv", "relu 2")),
            dumped("2", 1, 2, 4, 4, 4, nodes=("conv", "relu 2")),
        ],
    )
    assert [(each.dumped.file, each.value, each.positions) for each in found] == [
        ("0", "c", (0,)),
        ("2", "r", (0, 1)),
    ]


def test_what_has_another_type_or_shape_shows_nothing() -> None:
    tensors = [
        dumped("0", 1, 5, 4, 4, nodes=("conv",), dtype="float64"),
        dumped("1", 1, 1, 4, 4, 4, nodes=("conv",)),
        dumped("2", 16, 5, nodes=("conv",)),
        dumped("3", 1, 5, 4, 4, nodes=("nobody",)),
    ]
    assert align(graph(), tensors) == ()


def test_blocks_are_undone_and_their_padding_dropped() -> None:
    value = np.arange(80, dtype=np.float32).reshape(1, 5, 4, 4)
    padded = np.concatenate([value, np.full((1, 3, 4, 4), np.nan, np.float32)], axis=1)
    blocks = padded.reshape(1, 2, 4, 4, 4).transpose(0, 1, 3, 4, 2)
    np.testing.assert_array_equal(plain(blocks, (1, 5, 4, 4)), value)
    np.testing.assert_array_equal(plain(value, (1, 80)), value.reshape(1, 80))


def test_errors_with_what_is_no_number() -> None:
    nan, inf = np.nan, np.inf
    found = differences(np.array([nan, inf, 1.0, nan]), np.array([nan, inf, 1.5, 1.0]))
    np.testing.assert_array_equal(found, [0, 0, 0.5, inf])


def test_large_integers_are_told_apart() -> None:
    for dtype, large in (("int64", 2**63 - 1), ("uint64", 2**64 - 1), ("int64", 2**53 + 1)):
        found = differences(np.array([large - 1, large], dtype), np.array([large, large], dtype))
        np.testing.assert_array_equal(found, [1, 0])
        expected = Expected(value=np.array([large], dtype))
        assert expected.wrong(np.array([large - 1], dtype)).all()
        assert not expected.judge(np.array([large - 1], dtype)).ok


def test_a_kernel_of_two_branches_shows_neither() -> None:
    """Merged convolutions compute both in one tensor, whose blocks may look like one of them."""
    made = model(
        [
            helper.make_node("Conv", ["x", "v"], ["c"], name="one"),
            helper.make_node("Conv", ["x", "w"], ["y"], name="other"),
        ],
        inputs={"x": [1, 3, 4, 4]},
        outputs={"c": [1, 1, 4, 4], "y": [1, 2, 4, 4]},
        weights={"v": np.ones((1, 3, 1, 1), np.float32), "w": np.ones((2, 3, 1, 1), np.float32)},
    )
    graph = onnx.shape_inference.infer_shapes(made).graph
    both = dumped("0", 1, 1, 4, 4, 4, nodes=("one", "other"))
    alone = dumped("1", 1, 2, 4, 4, nodes=("other",))
    assert [each.dumped.file for each in align(graph, [both])] == []
    assert [each.dumped.file for each in align(graph, [alone, both])] == ["1"]
