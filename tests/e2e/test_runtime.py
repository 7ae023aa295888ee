"""The C library through model.h, under sanitizers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.runtime_builds import (
    FIXTURE,
    KERNELS,
    LIBRARY,
    RUNTIME,
    SPOILERS,
    WEIGHTS,
    Gcc,
    call,
    spoil_one_bit,
)


def play(program: Path, weights: Path, scenario: str) -> None:
    played = call(program, weights, scenario)
    assert played.returncode == 0, played.stderr


@pytest.mark.parametrize("sanitizer", ["asan", "tsan"])
@pytest.mark.parametrize(
    "scenario",
    [
        "runs",
        "describes",
        "stages_misaligned_buffers",
        "instances_live_side_by_side",
        "runs_on_one_instance_take_turns",
        "names_null_buffers",
        "refuses_bad_options",
        "honours_struct_size",
        "pins_threads",
        "reports_failing_kernels",
        "profiles",
        "observes",
        "takes_weights_from_memory",
        "needs_weights_path",
        "workers_block_signals",
    ],
)
def test_library(gcc: Gcc, weights: Path, sanitizer: str, scenario: str) -> None:
    play(gcc.model_program(sanitizer), weights, scenario)


@pytest.mark.parametrize("sanitizer", ["none", "asan"])  # tsan allows a child no new threads
def test_an_instance_is_refused_and_can_be_destroyed_in_a_forked_child(
    gcc: Gcc, weights: Path, sanitizer: str
) -> None:
    play(gcc.model_program(sanitizer), weights, "survives_a_fork")


SPEEDS = {
    "big and little": ("cpu_capacity", [1024, 446], 4),
    "by clock": ("cpufreq/cpuinfo_max_freq", [2_000_000, 1_400_000], 4),
    "nearly equal": ("cpufreq/cpuinfo_max_freq", [5_100_000, 4_900_000], 1),
    "alike": ("cpu_capacity", [1024, 1024], 1),
}


@pytest.mark.parametrize("speeds", SPEEDS)
def test_unequal_cores_share_more_tasks(gcc: Gcc, weights: Path, speeds: str) -> None:
    file, values, tasks = SPEEDS[speeds]
    system = gcc.folder / speeds.replace(" ", "-")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("a single core is as fast as itself")
    for number, core in enumerate(cores):
        said = system / f"cpu{core}" / file
        said.parent.mkdir(parents=True)
        said.write_text(f"{values[number % 2]}\n", encoding="ascii")
    flags = (f'-DBW_CPU_FOLDER="{system}"', f"-DFIXTURE_TASKS_OF_A_THREAD={tasks}")
    play(gcc.model_program("asan", *flags), weights, "runs")


@pytest.mark.parametrize("how", SPOILERS)
def test_library_refuses_spoiled_weights(gcc: Gcc, weights: Path, how: str) -> None:
    SPOILERS[how](weights)
    play(gcc.model_program("asan"), weights, "refuses_weights")


def test_library_may_skip_the_checksum(gcc: Gcc, weights: Path) -> None:
    spoil_one_bit(weights)
    play(gcc.model_program("asan"), weights, "may_skip_checksum")


def test_library_refuses_a_cpu_without_a_feature(gcc: Gcc, weights: Path) -> None:
    program = gcc.model_program("asan", '-DFIXTURE_FEATURES="no_such_feature"')
    play(program, weights, "refuses_cpu")


def test_library_embeds_weights(gcc: Gcc, weights: Path) -> None:
    numbers = gcc.folder / "weights.inc"
    numbers.write_text(",".join(map(str, WEIGHTS)))
    program = gcc.model_program("asan", f'-DFIXTURE_WEIGHTS="{numbers}"')
    play(program, weights, "runs_with_embedded_weights")


def test_library_runs_a_model_without_inputs_and_weights(gcc: Gcc, weights: Path) -> None:
    play(gcc.model_program("asan", plan="plan_bare"), weights, "runs_without_inputs")


def test_library_checks_values_before_the_calls_that_use_them(gcc: Gcc, weights: Path) -> None:
    program = gcc.model_program("asan", main="check_test", plan="plan_checks")
    played = call(program)
    assert played.returncode == 0, played.stderr


def test_library_survives_scarcity(gcc: Gcc, weights: Path) -> None:
    played = call(gcc.model_program("none", main="scarcity_test"), weights)
    assert played.returncode == 0, played.stderr


def test_parts(gcc: Gcc) -> None:
    numbers = (RUNTIME / "dtype.c", RUNTIME / "compare.c")
    sources = (FIXTURE / "parts_test.c", FIXTURE / "plan_bare.c", KERNELS, *LIBRARY, *numbers)
    played = call(gcc.build("parts", "asan", sources, "-O1"))
    assert played.returncode == 0, played.stderr
