"""Inputs bound and frozen: what becomes static, what becomes constant, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.errors import BoardwrightError, ModelRefused, UsageError
from builder.model.binding import Binding


def two_inputs() -> onnx.ModelProto:
    """Return y = x * k: x [batch, 3], k int32 [n] cast to float."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["k"], ["scale"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["x", "scale"], ["y"]),
        ],
        "g",
        [
            info("x", TensorProto.FLOAT, ["batch", 3]),
            info("k", TensorProto.INT32, ["n"]),
        ],
        [info("y", TensorProto.FLOAT, ["batch", 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def prepared(tmp_path: Path, binding: Binding, frozen: Path | None = None) -> Path:
    source, output = tmp_path / "m.onnx", tmp_path / "out"
    onnx.save(two_inputs(), source)
    output.mkdir()
    prepare(source, binding=binding, frozen=frozen, seed=0, output=output, log=lambda _: None)
    return output


def inputs(folder: Path) -> dict[str, tuple[int, ...]]:
    return {spec.name: spec.shape for spec in read_signature(folder).inputs}


def outputs_scaled_by(folder: Path) -> float:
    x, y = np.load(folder / "check/inputs/x.npy"), np.load(folder / "check/expected/y.npy")
    return float((y / x).mean())


def test_a_dimension_is_bound_wherever_it_stands(tmp_path: Path) -> None:
    folder = prepared(tmp_path, Binding(dims=(("batch", 2), ("n", 3))))
    assert inputs(folder) == {"x": (2, 3), "k": (3,)}


def test_a_frozen_input_is_no_input_any_more(tmp_path: Path) -> None:
    folder = prepared(tmp_path, Binding(dims=(("batch", 2),), frozen=(("k", "[7,7,7]"),)))
    assert inputs(folder) == {"x": (2, 3)}
    assert outputs_scaled_by(folder) == pytest.approx(7)


def test_one_number_fills_an_input_of_known_shape(tmp_path: Path) -> None:
    binding = Binding(dims=(("batch", 1), ("n", 3)), frozen=(("k", "5"),))
    assert outputs_scaled_by(prepared(tmp_path, binding)) == pytest.approx(5)


def test_values_come_from_an_npz_too_and_the_option_wins(tmp_path: Path) -> None:
    file = tmp_path / "c.npz"
    np.savez(file, k=np.array([2, 2, 2]), x=np.ones((4, 3)))
    folder = prepared(tmp_path, Binding(frozen=(("k", "[9,9,9]"),)), file)
    assert inputs(folder) == {}
    np.testing.assert_array_equal(np.load(folder / "check/expected/y.npy"), np.full((4, 3), 9))


@pytest.mark.parametrize(
    ("binding", "kind", "reason"),
    [
        (Binding(dims=(("batchsize", 1),)), UsageError, "unknown-dim"),
        (Binding(dims=(("batch", 1),)), ModelRefused, "open-shape"),
        (Binding(dims=(("batch", 1),), frozen=(("k", "5"),)), ModelRefused, "open-shape"),
        (Binding(dims=(("batch", 1),), shapes=(("x", (2, 3)),)), UsageError, "shape-mismatch"),
        (Binding(dims=(("n", 1),), frozen=(("k", "[1,2,3]"),)), UsageError, "shape-mismatch"),
        (Binding(dims=(("batch", 1),), frozen=(("k", "[[1]]"),)), UsageError, "shape-mismatch"),
        (Binding(frozen=(("kk", "1"),)), UsageError, "unknown-input"),
        *(
            (Binding(dims=(("batch", 1), ("n", 1)), frozen=(("k", value),)), UsageError, reason)
            for value, reason in (
                ("1.5", "freeze-mismatch"),
                ("2147483648", "freeze-mismatch"),
                ("99999999999999999999999", "freeze-mismatch"),
                ("NaN", "freeze-mismatch"),
            )
        ),
        (
            Binding(shapes=(("x", (1, 3)), ("k", (1,))), frozen=(("x", "1e300"),)),
            UsageError,
            "freeze-mismatch",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, binding: Binding, kind: type[BoardwrightError], reason: str
) -> None:
    with pytest.raises(kind) as caught:
        prepared(tmp_path, binding)
    assert caught.value.reason == reason


def image(*dims: str | int) -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [info("x", TensorProto.FLOAT, list(dims))],
        [info("y", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def bound(tmp_path: Path, made: onnx.ModelProto, binding: Binding) -> Path:
    source, output = tmp_path / "m.onnx", tmp_path / "out"
    onnx.save(made, source)
    output.mkdir()
    prepare(source, binding=binding, seed=0, output=output, log=lambda _: None)
    return output


@pytest.mark.parametrize("nobody", ["?", "", "None", "-1", "*", "unknown"])
def test_dimensions_that_nobody_named_may_differ(tmp_path: Path, nobody: str) -> None:
    folder = bound(
        tmp_path, image(nobody, 3, nobody, nobody), Binding(shapes=(("x", (1, 3, 48, 192)),))
    )
    assert inputs(folder) == {"x": (1, 3, 48, 192)}


def test_a_name_with_two_extents_is_told_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        bound(tmp_path, image("n", 3, "side", "side"), Binding(shapes=(("x", (1, 3, 48, 192)),)))
    assert caught.value.reason == "shape-mismatch"
    assert "dimension 3" in str(caught.value.why) and "dimension 2 of input 'x'" in str(
        caught.value.why
    )


@pytest.mark.parametrize(
    ("dims", "told"),
    [
        (("batch", 3, "side", "side"), "--dim batch=N --dim side=N"),
        (("batch", 3, "?", "?"), "--shape x=N,3,N,N"),
        ((0, 3), "--shape x=N,3"),
        (("the batch", 3), "--dim 'the batch=N'"),
    ],
)
def test_open_dimensions_are_told_the_option_that_closes_them(
    tmp_path: Path, dims: tuple[str | int, ...], told: str
) -> None:
    with pytest.raises(ModelRefused) as caught:
        bound(tmp_path, image(*dims), Binding())
    assert (caught.value.reason, str(caught.value.remedy).endswith(told)) == ("open-shape", True)


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.npz"
    file.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(UsageError) as caught:
        prepared(tmp_path, Binding(), file)
    assert caught.value.reason == "bad-inputs"
