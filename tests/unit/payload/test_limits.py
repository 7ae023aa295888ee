"""What a step may take follows from what it reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from builder.errors import ModelRefused
from builder.model.source import Source, SourceFile
from builder.payload.limits import allow_run, limits
from builder.planning import plan
from builder.steps import Prepare, Step
from builder.wire import Job
from tests.nouns import LOCAL, a_pc, a_request, a_source

GIB = 1 << 30


def a_job(step: Step, inputs: dict[str, Path]) -> Job:
    place = Path("/nowhere")
    return Job(step=step, inputs=inputs, sources={}, output=place, scratch=place, zig_cache=place)


def steps() -> dict[str, Step]:
    made = plan(a_request(), [a_pc()], a_source(), lambda _: LOCAL)
    return {planned.kind: planned.step for planned in made.steps}


def preparing(size_bytes: int) -> Job:
    step = steps()["Prepare"]
    assert isinstance(step, Prepare)
    file = SourceFile(path="m.onnx", sha256="a" * 64, size_bytes=size_bytes)
    source = Source(files=(file,), root=Path("/models"))
    return a_job(dataclasses.replace(step, source=source), {})


def test_a_small_model_is_looked_at_in_less_than_a_gibibyte() -> None:
    granted = limits(preparing(100), cores=4)
    assert granted.memory_bytes is not None
    assert granted.memory_bytes < GIB
    assert granted.cpu_s <= 120


def test_a_large_model_gets_room_for_its_weights() -> None:
    granted = limits(preparing(GIB), cores=4)
    assert granted.memory_bytes is not None
    assert granted.memory_bytes > 3 * GIB
    assert granted.file_bytes > 3 * GIB


@pytest.mark.parametrize("kind", ["BuildRuntime", "Assemble", "Verify"])
def test_other_programs_reserve_what_they_like(kind: str) -> None:
    assert limits(a_job(steps()[kind], {}), cores=4).memory_bytes is None


def test_later_steps_are_measured_by_the_artifacts_they_read(tmp_path: Path) -> None:
    (tmp_path / "weights.data").write_bytes(bytes(1 << 20))
    compiling = steps()["Compile"]
    less = limits(a_job(compiling, {}), cores=1).memory_bytes
    more = limits(a_job(compiling, {"prepared": tmp_path}), cores=1).memory_bytes
    assert less is not None
    assert more is not None
    assert more > less


def test_a_run_that_does_not_fit_into_what_is_free_is_refused() -> None:
    with pytest.raises(ModelRefused) as caught:
        allow_run(1 << 60, 1 << 60)
    assert caught.value.reason == "too-large"
    assert caught.value.details["free"] < 1 << 60
