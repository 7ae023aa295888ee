"""Seeded inputs: what the graph shows of the integers that it can be fed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import parser

from builder.compiler.prepare.pipeline import prepare
from builder.errors import ModelRefused

HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'


def seeded(folder: Path, text: str) -> dict[str, npt.NDArray[Any]]:
    """Prepare a model in ONNX's own text, which runs ONNX Runtime; return the seeded inputs."""
    source, output = folder / "m.onnx", folder / "out"
    onnx.save(parser.parse_model(HEADER + text), source)
    output.mkdir()
    prepare(source, seed=0, output=output, log=lambda _: None)
    return {path.stem: np.load(path) for path in (output / "check/inputs").iterdir()}


TABLES = {
    "a weight": """g (int64[50] i) => (float[50,2] y) <float[3,2] t = {1,2,3,4,5,6}>
        { y = Gather (t, i) }""",
    "a computed table": """g (int64[50] i, float[3,2] x) => (float[50,2] y)
        { t = Relu (x) y = Gather (t, i) }""",
    "through other shapes and types": """g (int32[5,10] i, float[3,2] x) => (float[50,2] y)
        <int64[1] s = {50}> { w = Cast <to = 7> (i) f = Reshape (w, s) y = Gather (x, f) }""",
    "elements of a row": """g (int64[4,9] i, float[4,3] x) => (float[4,9] y)
        { y = GatherElements <axis = 1> (x, i) }""",
    "places": """g (int64[30,2] i, float[3,5] x) => (float[30] y) { y = GatherND (x, i) }""",
    "where to write": """g (int64[2,1] i, float[3,5] x, float[2,5] u) => (float[3,5] y)
        { y = ScatterND (x, i, u) }""",
    "lengths": """g (int64[9] i, float[3,9,2] x) => (float[3,9,2] y)
        { y = ReverseSequence <time_axis = 0, batch_axis = 1> (x, i) }""",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=list(TABLES))
def test_indices_stay_inside_what_they_index(tmp_path: Path, text: str) -> None:
    indices = seeded(tmp_path, text)["i"]
    assert indices.min() >= 0 and indices.max() <= 2


MASKS = {
    "less from one": """g (int64[40] m) => (float[40] y) <float one = {1}, float least = {-3.4e38}>
        { f = Cast <to = 1> (m) r = Sub (one, f) y = Mul (r, least) }""",
    "a truth": """g (int64[40] m, float[40] x) => (float[40] y) <float least = {-3.4e38}>
        { b = Cast <to = 9> (m) y = Where (b, x, least) }""",
    "by name": """g (int64[40] attention_mask) => (int64[40] y)
        { y = Mul (attention_mask, attention_mask) }""",
}


@pytest.mark.parametrize("text", MASKS.values(), ids=list(MASKS))
def test_masks_are_zeros_and_ones(tmp_path: Path, text: str) -> None:
    mask = next(a for name, a in seeded(tmp_path, text).items() if name in ("m", "attention_mask"))
    assert set(mask.tolist()) == {0, 1}


def test_other_integers_are_small_numbers(tmp_path: Path) -> None:
    text = """g (int64[40] n) => (float[40] y, int64[40] z) <float one = {1}>
        { f = Cast <to = 1> (n) y = Sub (one, f) z = Add (n, n) }"""
    assert seeded(tmp_path, text)["n"].max() == 7


@pytest.mark.parametrize("operator", ["Div", "Mod"])
def test_divisors_are_never_zero(tmp_path: Path, operator: str) -> None:
    text = f"""g (int64[60] n, int64[60] by) => (int64[60] y)
        {{ d = Identity (by) y = {operator} (n, d) }}"""
    made = seeded(tmp_path, text)
    assert set(made["by"].tolist()) == set(range(1, 8))
    assert made["n"].min() == 0


def test_what_seeded_inputs_cannot_suit_is_refused_with_the_way_out(tmp_path: Path) -> None:
    text = """g (int64[8] i, float[3] x) => (float[8] y) <int64 two = {2}>
        { j = Add (i, two) y = Gather (x, j) }"""
    with pytest.raises(ModelRefused) as caught:
        seeded(tmp_path, text)
    assert caught.value.reason == "reference-failed"
    assert "--inputs" in str(caught.value.remedy)
