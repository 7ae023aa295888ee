"""Which cores are measured on."""

from __future__ import annotations

import pytest

from builder.bench.conditions import Conditions, Core
from builder.bench.pinning import choose_cores, fitting
from builder.errors import UsageError

BIG_LITTLE = Conditions(
    cores=tuple(Core(number=n, limit_khz=1_400_000 if n < 4 else 2_000_000) for n in range(6))
)
SMT = Conditions(cores=tuple(Core(number=n, group=f"{n % 2},{n % 2 + 2}") for n in range(4)))


def test_the_fastest_cores_come_first() -> None:
    assert choose_cores(BIG_LITTLE, 2) == (4, 5)
    assert choose_cores(BIG_LITTLE, 3) == (3, 4, 5)


def test_one_thread_a_physical_core() -> None:
    assert choose_cores(SMT, 2) == (2, 3)
    assert choose_cores(SMT, 4) == (0, 1, 2, 3)


def test_only_what_the_process_may_use() -> None:
    allowed = Conditions(cores=BIG_LITTLE.cores, allowed=(0, 1))
    assert choose_cores(allowed, 1) == (1,)
    with pytest.raises(UsageError) as caught:
        choose_cores(allowed, 3)
    assert caught.value.reason == "too-few-cores"


def test_a_board_that_hides_its_cores_is_not_pinned() -> None:
    assert choose_cores(Conditions(), 4) == ()
    assert fitting(Conditions(), (1, 4)) == (1, 4)


def test_threads_are_cut_to_the_board() -> None:
    assert fitting(SMT, (1, 4)) == (1, 4)
    assert fitting(Conditions(cores=SMT.cores[:2]), (1, 2, 4)) == (1, 2)
