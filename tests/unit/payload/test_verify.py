"""The builder's own comparison: the rule of the runner, in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builder.errors import IntegrityError
from builder.model.artifact import OutputError
from builder.model.tensor import TensorSpec
from builder.payload.comparison import compare, read_tolerances


def compared(dtype: str, computed: list[Any], expected: list[Any], slack: float) -> OutputError:
    spec = TensorSpec(name="y", file="y", dtype=dtype, shape=(len(expected),))
    return compare(spec, np.asarray(computed, dtype), np.asarray(expected, dtype), slack, 0.0)


@pytest.mark.parametrize("slack", [0.0, 1.0])
def test_a_step_beside_the_expected_integer_is_right_within_the_slack(slack: float) -> None:
    found = compared("uint8", [0, 254, 7], [1, 255, 7], slack)
    assert found.ok is (slack > 0)
    assert found.max_abs_error == 1


def test_two_steps_are_more_than_one() -> None:
    assert not compared("int8", [-128], [-126], 1.0).ok


def test_integers_that_are_one_number_in_float64_are_told_apart() -> None:
    large = 2**63 - 1
    assert not compared("int64", [large - 1], [large], 0.0).ok
    assert compared("int64", [large - 1], [large], 1.0).ok
    far = compared("int64", [-large], [large], 1.0)
    assert not far.ok and far.max_abs_error == pytest.approx(2.0**64)


def test_nan_is_nan_and_no_number() -> None:
    nan, inf = float("nan"), float("inf")
    assert compared("float32", [nan, inf, 1.0], [nan, inf, 1.0], 0.0).ok
    assert compared("float32", [nan], [1.0], 5.0).max_abs_error == inf


def test_an_infinity_is_met_by_itself_alone() -> None:
    spec = TensorSpec(name="y", file="y", dtype="float32", shape=(1,))
    inf = np.asarray([np.inf], np.float32)
    assert compare(spec, inf, inf, 1e-3, 1e-3).ok
    for other in (1.0, -np.inf, np.nan, 3e38):
        assert not compare(spec, np.asarray([other], np.float32), inf, 1e-3, 1e-3).ok


@pytest.mark.parametrize("limits", ["inf 0", "0 inf", "nan 0", "0 nan", "-1 0", "1e999 0"])
def test_a_tolerance_that_proves_nothing_is_refused(tmp_path: Path, limits: str) -> None:
    (tmp_path / "tolerance.txt").write_text(f"y 0 0\nz {limits}\n")
    with pytest.raises(IntegrityError) as caught:
        read_tolerances(tmp_path / "tolerance.txt")
    assert caught.value.reason == "bad-tolerance"
