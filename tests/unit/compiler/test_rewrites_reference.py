"""Rewrites of the graph mean the same to ONNX's own reference as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from builder.compiler.prepare.pipeline import prepare
from tests.unit.compiler.examples import Example
from tests.unit.compiler.test_rewrites import EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))
def test_the_reference_computes_the_same_before_and_after(tmp_path: Path, example: Example) -> None:
    expected = referred(example)
    source, given, output = tmp_path / "m.onnx", tmp_path / "in.npz", tmp_path / "out"
    onnx.save(example.model, source)
    np.savez(given, **example.inputs)
    output.mkdir()
    prepare(source, given=given, seed=0, output=output, log=lambda _: None)
    found = ReferenceEvaluator(onnx.load(output / "model.onnx")).run(None, example.inputs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def referred(example: Example) -> list[Any]:
    try:
        return list(ReferenceEvaluator(example.model).run(None, example.inputs))
    except (TypeError, RuntimeWarning) as error:  # it divides zero by zero, for one
        pytest.skip(f"the reference does not compute {example.operator} of these: {error}")
