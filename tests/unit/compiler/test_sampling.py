"""GridSample in all of its modes against ONNX Runtime, coordinates far outside and NaN included."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper

from tests.unit.compiler.test_special_values import agree, model

Array = npt.NDArray[Any]
PADDINGS = ("zeros", "border", "reflection")


def sampled(
    folder: Path,
    inputs: dict[str, Array],
    modes: tuple[str, ...],
    aligned: tuple[int, ...] = (0, 1),
) -> None:
    """Sample ``x`` at ``g`` in each mode and padding."""
    nodes = [
        helper.make_node(
            "GridSample",
            ["x", "g"],
            [f"{mode}_{padding}_{align}"],
            mode=mode,
            padding_mode=padding,
            align_corners=align,
        )
        for mode, padding, align in itertools.product(modes, PADDINGS, aligned)
    ]
    outputs = {node.output[0]: TensorProto.FLOAT for node in nodes}
    agree(folder, model(nodes, inputs, outputs), inputs, relative=2e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_images(tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(3)
    grid = (rng.standard_normal((2, 4, 5, 2)) * 1.2).astype(np.float32)
    odd = [[-1, 1], [1, -1], [np.nan, 0], [1e30, 0], [np.inf, -np.inf]]
    grid[0, 0] = np.asarray(odd, np.float32)
    inputs = {"x": rng.standard_normal((2, 3, 6, 7)).astype(np.float32), "g": grid}
    sampled(tmp_path, inputs, (mode,))


def test_volumes(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    grid = (rng.standard_normal((1, 3, 2, 4, 3)) * 1.2).astype(np.float32)
    inputs = {"x": rng.standard_normal((1, 2, 4, 5, 3)).astype(np.float32), "g": grid}
    sampled(tmp_path, inputs, ("linear", "nearest"))


def test_an_axis_of_one_element(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    inputs = {
        "x": rng.standard_normal((1, 2, 1, 5)).astype(np.float32),
        "g": (rng.standard_normal((1, 3, 4, 2)) * 1.5).astype(np.float32),
    }
    sampled(tmp_path, inputs, ("linear", "nearest"), aligned=(0,))
