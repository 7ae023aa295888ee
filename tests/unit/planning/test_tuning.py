from __future__ import annotations

from dataclasses import replace

import pytest

from builder.model.tuning import TunedTile, TuningRecord
from builder.planning import best_set, plan, plan_shortlist, plan_trial, plan_tuning, tunable_here
from builder.steps import Prepare, Shortlist, Tune
from tests.nouns import LOCAL, a_machine, a_pc, a_record, a_request, a_source, a_target


def compile_key(*records: TuningRecord) -> str:
    made = plan(a_request(records=records), [a_target()], a_source(), lambda _: LOCAL)
    return next(step.key for step in made.steps if step.kind == "Compile")


def tuning(*records: TuningRecord, again: bool = False) -> Tune:
    request = a_request(machine=a_machine(), records=records)
    prepared, tuned = plan_tuning(
        request, a_source(), a_pc(), lambda _: LOCAL, budget_s=1.0, again=again
    )
    assert isinstance(prepared.step, Prepare)
    assert isinstance(tuned.step, Tune)
    assert dict(tuned.needs) == {"prepared": prepared.key}
    return tuned.step


def test_a_record_of_the_targets_cpu_changes_the_key() -> None:
    assert compile_key(a_record()) != compile_key()
    assert compile_key(a_record(tile=(1, 7, 2))) != compile_key(a_record(tile=(1, 5, 2)))


@pytest.mark.parametrize(
    "record",
    [a_record(cpu="znver4"), a_record(cpu="cortex-a57"), a_record(tile=(1, 8, 2))],
    ids=["another-cpu", "other-features", "as-usual"],
)
def test_a_record_that_changes_no_code_changes_no_key(record: TuningRecord) -> None:
    assert compile_key(record) == compile_key()


def test_times_and_order_change_no_key() -> None:
    slower = replace(a_record(), tile_us=9.9, machine="another")
    assert compile_key(slower, a_record("01")) == compile_key(a_record("01"), a_record())


def test_known_kernels_are_not_measured_again() -> None:
    record = a_record(cpu="x86-64-v3+neon")
    assert tuning(record).known == (record.kernel,)
    assert tuning(record, again=True).known == ()
    assert tuning(a_record(cpu="znver4")).known == ()


def test_code_is_measured_where_it_runs() -> None:
    assert tunable_here(a_pc(), a_machine())
    assert not tunable_here(a_pc(("avx512f",)), a_machine())
    assert not tunable_here(a_target(), a_machine())


def test_a_board_runs_the_best_kernels_that_it_can() -> None:
    assert best_set(a_pc(), {"avx2", "fma", "more"}).mcpu == "x86-64-v3"


def test_a_shortlist_is_about_one_set_of_kernels() -> None:
    prepared, listed = plan_shortlist(a_request(), a_source(), a_pc(), "x86-64-v3", lambda _: LOCAL)
    assert isinstance(listed.step, Shortlist)
    assert (listed.step.mcpu, dict(listed.needs)) == ("x86-64-v3", {"prepared": prepared.key})


def test_a_trial_is_what_a_build_by_its_records_makes() -> None:
    target, record = a_target(), a_record()
    tile = TunedTile(kernel=record.kernel, cpu=record.cpu, tile=record.tile)
    made = plan_trial(a_request(), a_source(), target, (tile,), lambda _: LOCAL)
    built = plan(a_request(records=(record,)), [target], a_source(), lambda _: LOCAL)
    assert [step.kind for step in made] == ["Prepare", "Compile", "BuildRuntime", "Assemble"]
    assert made[-1] == built.goals[0].assemble
