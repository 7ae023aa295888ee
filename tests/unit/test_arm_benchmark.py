"""The Arm benchmark's own logic: what a hot loop is, and what it costs an in-order core."""

from __future__ import annotations

import pytest

from ci.benchmarks.hot_loops import hot_loops
from ci.benchmarks.in_order import Pipeline, cycles

LISTING = """\
\t.text
kernel_compute_:
.Lfunc_begin0:
\tsub\tsp, sp, #16
.LBB0_1:                                // outer
\tmov\tx3, x0
.LBB0_2:                                // inner
\tldr\tq0, [x3], #16                    // 16-byte Folded Reload
\tldr\tq1, [sp, #32]
\t.loc\t1 0 0
\tfmla\tv16.4s, v1.4s, v0.s[0]
\tfmla\tv17.4s, v1.4s, v0.s[1]
\tsubs\tx4, x4, #1
\tb.ne\t.LBB0_2
\tsubs\tx5, x5, #1
\tb.ne\t.LBB0_1
.LBB0_3:
\tadd\tx5, x5, #1
\tcbnz\tx5, .LBB0_3
\tret
.Lfunc_end0:
other_compute_:
.LBB1_1:
\tvld1.32\t{d0[], d1[]}, [r1:32]!
\tvfma.f32\tq8, q9, q0
\tbne\t.LBB1_1
.Lfunc_end1:
"""

SIMPLE = Pipeline(fma_busy=1, fma_latency=10, load_busy=1, load_latency=4, vector_latency=6)


def test_innermost_loops_with_multiply_adds_are_found() -> None:
    first, second = hot_loops(LISTING)
    assert (first.function, first.label) == ("kernel_compute_", ".LBB0_2")
    assert (first.fmas, first.sums, first.spills) == (2, 2, 1)
    assert first.body[0] == "ldr\tq0, [x3], #16"
    assert (second.function, second.fmas, second.spills) == ("other_compute_", 1, 0)


def sums(count: int) -> list[str]:
    return [f"fmla\tv{number}.4s, v30.4s, v31.s[0]" for number in range(count)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(sums(16), 16, id="one multiply-add a cycle"),
        pytest.param(sums(4), 10, id="few sums wait for their latency"),
        pytest.param([*sums(12), "ldr\tq20, [x0], #16"], 12, id="a load beside them is free"),
        pytest.param(
            ["ldr\tq30, [x0], #16", *sums(12)], 15, id="a sum waits for what was just loaded"
        ),
        pytest.param(["add\tx0, x0, #1", "add\tx1, x1, #1", "cmp\tx2, x3"], 1.5, id="two a cycle"),
        pytest.param(["vfma.f32\tq0, q8, d2[0]"], 10, id="32-bit names"),
        pytest.param(
            ["vld1.32\t{d16, d17}, [r0:128]!", "vadd.f32\tq0, q8, q9"], 4, id="pairs of registers"
        ),
    ],
)
def test_an_in_order_core_waits_for_operands_and_units(body: list[str], expected: float) -> None:
    assert cycles(body, SIMPLE) == pytest.approx(expected, abs=0.1)


def test_a_slow_unit_is_busy_for_longer() -> None:
    slow = Pipeline(fma_busy=4, fma_latency=10, load_busy=2, load_latency=4, vector_latency=6)
    body = [f"vfma.f32\tq{number}, q14, q15" for number in range(8)]
    assert cycles(body, slow) == 32
