"""The polynomials keep the errors that their docstrings state, over the whole range."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm
from tvm import s_tir, te, tirx

from builder.compiler import stack, vector_math

Vector = npt.NDArray[np.float32]


def built(mod: tvm.IRModule, target: str | dict[str, str]) -> Any:
    vector_math.register()
    stack.register()
    return tirx.build(mod, target=tvm.target.Target(target), pipeline=stack.PIPELINE)


def computed(function: Callable[[Any], Any], points: Vector) -> Vector:
    """Evaluate one intrinsic through the code generator, one vector at a time."""
    data = te.placeholder((len(points),), name="x")
    out = te.compute(data.shape, lambda i: function(data[i]), name="y")
    library = built(tvm.IRModule({"main": te.create_prim_func([data, out])}), "llvm")
    result = tvm.runtime.tensor(np.zeros_like(points))
    library["main"](tvm.runtime.tensor(points), result)
    return np.asarray(result.numpy(), dtype=np.float32)


def exact(function: Callable[[float], float], points: Vector) -> npt.NDArray[np.float64]:
    return np.array([function(float(point)) for point in points])


def dense(low: float, high: float) -> Vector:
    return np.linspace(low, high, 100_001, dtype=np.float32)


def test_exp_is_right_to_two_ulps() -> None:
    points = dense(-87, 88.7228)
    expected = np.exp(points.astype(np.float64))
    relative = np.abs(computed(tirx.exp, points) - expected) / expected
    assert relative.max() < 2e-7


def test_exp_overflows_where_float32_does() -> None:
    edge = np.log(np.float64(np.finfo(np.float32).max))
    below, above = np.float32(edge - 1e-5), np.float32(edge + 1e-5)
    found = computed(tirx.exp, np.array([below, above, 89, 100, 1e30, np.inf], np.float32))
    assert abs(found[0] / np.exp(np.float64(below)) - 1) < 2e-7
    assert (found[1:] == np.inf).all()


def test_exp_of_what_is_small_is_subnormal_then_nothing() -> None:
    least = 2.0**-149
    points = dense(-103.9, -87)
    error = np.abs(computed(tirx.exp, points) - np.exp(points.astype(np.float64)))
    assert error.max() <= least
    assert (computed(tirx.exp, np.array([-104.1, -1e30, -np.inf], np.float32)) == 0).all()


def test_exp2_is_right_to_two_ulps() -> None:
    points = dense(-126, 127)
    expected = np.exp2(points.astype(np.float64))
    relative = np.abs(computed(tirx.exp2, points) - expected) / expected
    assert relative.max() < 2.5e-7


def test_exp2_of_what_is_hidden_is_nothing() -> None:
    hidden = np.array([-np.inf, -1e30, -127, 1000, np.nan], np.float32)
    found = computed(tirx.exp2, hidden)
    assert (found[:3] == 0).all()
    assert found[3] == np.float32(2.0**127)
    assert np.isnan(found[4])


def test_log_is_right_to_three_ulps() -> None:
    points = np.concatenate(
        [np.geomspace(1e-44, 3e38, 100_001), np.linspace(0.5, 2.0, 100_001)]
    ).astype(np.float32)
    expected = np.log(points.astype(np.float64))
    error = np.abs(computed(tirx.log, points) - expected)
    assert (error <= 3e-7 * np.abs(expected)).all()


def test_log_of_what_has_none() -> None:
    found = computed(tirx.log, np.array([-np.inf, -1, -0.0, 0, np.inf, np.nan], np.float32))
    np.testing.assert_array_equal(found, [np.nan, np.nan, -np.inf, -np.inf, np.inf, np.nan])


def test_erf_is_within_its_bound_and_odd() -> None:
    points = dense(-6, 6)
    found = computed(tirx.erf, points)
    assert np.abs(found - exact(math.erf, points)).max() < 4e-7
    np.testing.assert_allclose(found, -found[::-1], atol=1e-6)


def test_tanh_is_within_its_bound_and_small_arguments_keep_their_digits() -> None:
    points = dense(-20, 20)
    assert np.abs(computed(tirx.tanh, points) - np.tanh(points.astype(np.float64))).max() < 3e-7
    small = np.geomspace(1e-20, 0.019, 1000).astype(np.float32)
    expected = np.tanh(small.astype(np.float64))
    assert (np.abs(computed(tirx.tanh, small) - expected) / expected).max() < 1e-6


def test_sigmoid_is_within_its_bound() -> None:
    points = dense(-80, 80)
    expected = 1 / (1 + np.exp(-points.astype(np.float64)))
    assert (np.abs(computed(tirx.sigmoid, points) - expected) / expected).max() < 4e-7


@pytest.mark.parametrize(
    ("function", "expected"),
    [(tirx.erf, [-1, 1]), (tirx.tanh, [-1, 1]), (tirx.sigmoid, [0, 1])],
)
def test_infinities_are_limits(function: Callable[[Any], Any], expected: list[float]) -> None:
    far = np.array([-np.inf, -1e30, -200, 200, 1e30, np.inf], np.float32)
    np.testing.assert_array_equal(computed(function, far), np.repeat(expected, 3))


@pytest.mark.parametrize(
    "function", [tirx.exp, tirx.exp2, tirx.erf, tirx.log, tirx.tanh, tirx.sigmoid]
)
def test_nan_stays_nan(function: Callable[[Any], Any]) -> None:
    assert np.isnan(computed(function, np.array([np.nan] * 8, np.float32))).all()


@pytest.mark.parametrize("function", [tirx.exp, tirx.exp2, tirx.erf, tirx.log, tirx.tanh])
def test_vectors_stay_whole(function: Callable[[Any], Any]) -> None:
    """A call lane by lane would come out of LLVM in halves, or not as vectors at all."""
    data = te.placeholder((64,), name="x")
    kernel = te.create_prim_func([data, te.compute((64,), lambda i: function(data[i]), name="y")])
    schedule = s_tir.Schedule(tvm.IRModule({"main": kernel}))
    _, lane = schedule.split(schedule.get_loops(schedule.get_sblock("y"))[0], [None, 16])
    schedule.vectorize(lane)
    target = {"kind": "llvm", "mcpu": "x86-64-v4", "mtriple": "x86_64-linux-gnu"}
    listing = built(schedule.mod, target).inspect_source("asm")
    assert len(re.findall(r"vmulps.*zmm|vfmadd.*zmm", listing)) > 5
    assert not re.search(r"vmulps.*ymm|vfmadd.*ymm", listing)


def test_polynomials_of_polynomials_are_compiled_in_time() -> None:
    """As in Mish: where TVM's simplifier saw through them, three took a minute, four an hour."""
    points = dense(-10, 10)[::100]
    exactly = exact(lambda x: math.erf(x * math.tanh(math.log1p(math.exp(x)))), points)
    one = tirx.const(1.0, "float32")
    began_s = time.process_time()
    found = computed(lambda x: tirx.erf(x * tirx.tanh(tirx.log(one + tirx.exp(x)))), points)
    assert time.process_time() - began_s < 10
    assert np.abs(found - exactly).max() < 4e-6
