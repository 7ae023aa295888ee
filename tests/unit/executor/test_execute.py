from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import BuildFailed, Interrupted, ModelRefused
from builder.executor.execute import World, execute
from builder.model.event import (
    Event,
    Failed,
    Finished,
    Hit,
    Logged,
    Lost,
    Planned,
    Published,
    Ran,
    Started,
)
from builder.model.receipt import Receipt
from builder.model.target import Target
from builder.planning import Plan, plan
from builder.steps import Compile, Prepare, Step, Verify
from tests.fakes import FakeClock, FakePublisher, FakeStore, FakeWorkshop
from tests.nouns import EMULATING, LOCAL, a_pc, a_request, a_source, a_target

NANO, PI, PC = a_target("jetson-nano"), a_target("raspberry-pi-4", mcpu="cortex-a72"), a_pc()


class Bench:
    """A world of fakes, and what a build in it left behind."""

    def __init__(self, tmp_path: Path) -> None:
        self.store = FakeStore(tmp_path)
        self.workshop = FakeWorkshop()
        self.publisher = FakePublisher()
        self.clock = FakeClock()
        self.cancel = threading.Event()
        self.events: list[Event] = []
        self.unchanged = True

    def before(self, act: Callable[[Step, threading.Event], None]) -> None:
        self.workshop = FakeWorkshop(act)

    def world(self, *, fresh: bool = False) -> World:
        return World(
            store=self.store,
            workshops=lambda _: self.workshop,
            publisher=self.publisher,
            unchanged=lambda _: self.unchanged,
            clock=self.clock,
            emit=self.events.append,
            cancel=self.cancel,
            fresh=fresh,
        )

    def kinds(self, kind: type[Hit] | type[Started] | type[Ran] | type[Failed]) -> list[str]:
        return [event.step.kind for event in self.events if isinstance(event, kind)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def made(*targets: object, **options: object) -> Plan:
    request = a_request(machine=EMULATING, **options)  # type: ignore[arg-type]
    return plan(request, targets or [NANO, PI], a_source(), lambda _: LOCAL)  # type: ignore[arg-type]


def refuse(kind: type[Step], *, mcpu: str = "") -> Callable[[Step, threading.Event], None]:
    def act(step: Step, _: threading.Event) -> None:
        if isinstance(step, kind) and (not mcpu or getattr(step, "cpu").mcpu == mcpu):  # noqa: B009
            raise ModelRefused("no", reason="unsupported-operator")

    return act


def test_each_step_is_made_once_and_each_target_published(bench: Bench) -> None:
    receipts = execute(made(), bench.world(), jobs=2)
    assert [(r.target, r.status, r.cache) for r in receipts] == [
        ("jetson-nano", "ok", "miss"),
        ("raspberry-pi-4", "ok", "miss"),
    ]
    assert Counter(bench.workshop.performed) == {
        "Prepare": 1,
        "BuildRuntime": 1,
        "Compile": 2,
        "Assemble": 2,
        "Verify": 2,
    }
    assert bench.publisher.published == {r.target: r for r in receipts}


def test_a_receipt_holds_what_the_artifacts_say(bench: Bench) -> None:
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.bundle is not None
    assert receipt.sizes is not None
    assert (receipt.bundle.path, receipt.bundle.sha256) == (
        "/dist/mnist/jetson-nano/bundle",
        "c" * 64,
    )
    assert receipt.sizes.library == 600_000
    assert (receipt.verify.ok, receipt.verify.where) == (True, "qemu")
    assert [kind for kind, _ in receipt.keys] == [
        "Prepare",
        "Compile",
        "BuildRuntime",
        "Assemble",
        "Verify",
    ]
    assert dict(receipt.keys)["Verify"] == receipt.key


def test_steps_get_their_needs_by_name_and_only_prepare_sees_the_users_files(bench: Bench) -> None:
    request = a_request(check_inputs=a_source("inputs.npz"), frozen_inputs=a_source("c.npz"))
    execute(plan(request, [NANO], a_source(), lambda _: LOCAL), bench.world(), jobs=1)
    assert bench.workshop.inputs["Assemble"] == ("prepared", "compiled", "runtime")
    assert bench.workshop.inputs["Verify"] == ("assembled", "prepared")
    assert bench.workshop.sources.pop("Prepare") == ("model", "frozen_inputs", "check_inputs")
    assert set(bench.workshop.sources.values()) == {()}


def test_events_tell_the_whole_story_in_order(bench: Bench) -> None:
    execute(made(NANO), bench.world(), jobs=1)
    assert isinstance(bench.events[0], Planned)
    assert isinstance(bench.events[-2], Published)
    assert isinstance(bench.events[-1], Finished)
    prepare = [e for e in bench.events if getattr(e, "step", None) and e.step.kind == "Prepare"]  # type: ignore[union-attr]
    assert [type(event) for event in prepare] == [Started, Logged, Ran]


def test_what_lies_in_the_output_already_is_not_looked_up(bench: Bench) -> None:
    execute(made(), bench.world(), jobs=2)
    bench.store.lookups.clear()
    receipts = execute(made(), bench.world(), jobs=2)
    assert [receipt.cache for receipt in receipts] == ["hit", "hit"]
    assert bench.publisher.published == {r.target: r for r in receipts}
    assert bench.store.lookups == []


def test_a_goal_in_the_store_does_not_touch_what_it_was_made_from(bench: Bench) -> None:
    execute(made(NANO), bench.world(), jobs=1)
    bench.publisher.published.clear()
    bench.store.lookups.clear()
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    [goal] = made(NANO).goals
    assert receipt.cache == "hit"
    assert goal.verify is not None
    assert bench.store.lookups == [goal.assemble.key, goal.verify.key]
    assert "jetson-nano" in bench.publisher.published


def test_a_new_target_reuses_what_it_shares(bench: Bench) -> None:
    execute(made(NANO), bench.world(), jobs=1)
    bench.workshop.performed.clear()
    execute(made(NANO, PI), bench.world(), jobs=1)
    assert bench.workshop.performed == ["Compile", "Assemble", "Verify"]


def test_fresh_takes_nothing_from_store_or_output(bench: Bench) -> None:
    execute(made(NANO), bench.world(), jobs=1)
    bench.workshop.performed.clear()
    [receipt] = execute(made(NANO), bench.world(fresh=True), jobs=1)
    assert receipt.cache == "miss"
    assert len(bench.workshop.performed) == 5


def test_what_another_build_made_meanwhile_is_taken(bench: Bench) -> None:
    [goal] = made(NANO).goals

    def appear(step: Step, _: threading.Event) -> None:
        if isinstance(step, Prepare):
            runtime = next(s for s in made(NANO).steps if s.kind == "BuildRuntime")
            with bench.store.stage() as staged:
                bench.store.commit(runtime.key, staged)

    bench.before(appear)
    bench.store.lookups.clear()
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.key == goal.key
    assert "BuildRuntime" not in bench.workshop.performed
    assert bench.kinds(Hit) == ["BuildRuntime"]


def test_one_failing_target_does_not_stop_the_others(bench: Bench) -> None:
    bench.before(refuse(Compile, mcpu="cortex-a57"))
    receipts = execute(made(), bench.world(), jobs=2)
    assert [(r.target, r.status) for r in receipts] == [
        ("jetson-nano", "failed"),
        ("raspberry-pi-4", "ok"),
    ]
    assert receipts[0].error is not None
    assert receipts[0].error["reason"] == "unsupported-operator"
    assert bench.publisher.failed["jetson-nano"] == receipts[0]


def test_a_shared_failure_is_one_failed_step_and_every_target_lost(bench: Bench) -> None:
    bench.before(refuse(Prepare))
    receipts = execute(made(NANO, PI, PC), bench.world(), jobs=2)
    assert bench.kinds(Failed) == ["Prepare"]
    assert {event.receipt.target for event in bench.events if isinstance(event, Lost)} == {
        "jetson-nano",
        "raspberry-pi-4",
        "x86_64-linux",
    }
    assert {receipt.error and receipt.error["reason"] for receipt in receipts} == {
        "unsupported-operator"
    }
    assert "Compile" not in bench.kinds(Started)


def test_nothing_staged_outlives_a_failure(bench: Bench) -> None:
    bench.before(refuse(Compile))
    execute(made(), bench.world(), jobs=2)
    assert bench.store.leftovers() == []


def test_wrong_numbers_fail_the_target_and_name_the_worst_output(bench: Bench) -> None:
    bench.workshop.verification = {
        "ok": False,
        "where": "qemu",
        "max_abs_error": 3.0,
        "outputs": [
            {"name": "fine", "max_abs_error": 1e-6, "max_rel_error": 1e-6, "ok": True},
            {"name": "bad", "max_abs_error": 0.5, "max_rel_error": 1.0, "ok": False},
            {"name": "worst", "max_abs_error": 3.0, "max_rel_error": 1.0, "ok": False},
        ],
    }
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.error is not None
    assert (receipt.error["reason"], receipt.error["exit_code"]) == ("verify-failed", 5)
    assert receipt.error["where"] == "worst"
    assert (receipt.verify.ok, receipt.bundle) == (False, None)
    assert bench.publisher.published == {}


def test_a_failure_says_which_bundle_lies_there_still(bench: Bench) -> None:
    [good] = execute(made(NANO), bench.world(), jobs=1)
    assert good.last_good is None
    bench.unchanged = False
    [failed] = execute(made(NANO), bench.world(fresh=True), jobs=1)
    assert failed.status == "failed"
    assert good.bundle is not None
    assert failed.last_good is not None
    assert failed.last_good.sha256 == good.bundle.sha256
    assert Receipt.from_json(failed.to_json()) == failed


WRONG = {
    "ok": False,
    "where": "qemu",
    "max_abs_error": 3.0,
    "outputs": [{"name": "y", "max_abs_error": 3.0, "max_rel_error": 1.0, "ok": False}],
}


@pytest.mark.parametrize(
    ("targets", "advised"),
    [
        ([NANO], "--target x86_64-linux"),
        ([PC], "--target raspberry-pi-4"),
        ([NANO, PC], None),
    ],
)
def test_the_advice_is_no_target_that_has_just_been_tried(
    bench: Bench, targets: list[Target], advised: str | None
) -> None:
    bench.workshop.verification = WRONG
    for receipt in execute(made(*targets), bench.world(), jobs=1):
        assert receipt.error is not None
        remedy = receipt.error["remedy"]
        if advised is None:
            assert "--target" not in remedy
        else:
            assert remedy.endswith(advised)


def test_the_set_of_inputs_that_is_wrong_is_named(bench: Bench) -> None:
    sets = [{"name": "seeded", "ok": True}, {"name": "large", "ok": False}]
    bench.workshop.verification = {**WRONG, "sets": sets}
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.error is not None
    assert receipt.error["details"]["inputs"] == "large"
    assert [(each.name, each.ok) for each in receipt.verify.sets] == [
        ("seeded", True),
        ("large", False),
    ]


def test_a_bundle_that_verification_gave_other_check_data_is_the_one(bench: Bench) -> None:
    bench.workshop.reissued = "d" * 64
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.bundle is not None
    assert receipt.bundle.sha256 == "d" * 64


def test_a_nan_is_worse_than_any_number(bench: Bench) -> None:
    bench.workshop.verification = {
        "ok": False,
        "where": "qemu",
        "max_abs_error": None,
        "outputs": [
            {"name": "big", "max_abs_error": 1e9, "max_rel_error": 1.0, "ok": False},
            {"name": "nan", "max_abs_error": None, "max_rel_error": None, "ok": False},
            {"name": "small", "max_abs_error": 0.1, "max_rel_error": 1.0, "ok": False},
        ],
    }
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.error is not None
    assert receipt.error["where"] == "nan"


def test_a_model_edited_meanwhile_fails_and_is_not_kept(bench: Bench) -> None:
    bench.unchanged = False
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.error is not None
    assert receipt.error["reason"] == "source-changed"
    assert bench.store.lookup(made(NANO).steps[0].key) is None


def test_a_half_written_model_is_reported_as_changed_not_as_malformed(bench: Bench) -> None:
    bench.before(refuse(Prepare))
    bench.unchanged = False
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.error is not None
    assert receipt.error["reason"] == "source-changed"


def test_a_full_disk_is_a_failed_build(bench: Bench) -> None:
    def fill(step: Step, _: threading.Event) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/x")

    bench.before(fill)
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.error is not None
    assert (receipt.error["reason"], receipt.error["exit_code"]) == ("disk-full", 4)


def test_an_output_folder_that_cannot_be_written_fails_the_target(bench: Bench) -> None:
    class ReadOnly(FakePublisher):
        def publish(self, receipt: Receipt, assembled: Path) -> Path:
            raise PermissionError(errno.EACCES, "Permission denied", "/dist")

        def publish_failure(self, receipt: Receipt, evidence: Path | None = None) -> Path:
            raise PermissionError(errno.EACCES, "Permission denied", "/dist")

    bench.publisher = ReadOnly()
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.error is not None
    assert receipt.error["reason"] == "disk-failed"


def test_cancelling_waits_for_the_work_to_end_and_publishes_nothing(bench: Bench) -> None:
    ended = threading.Event()

    def stop(step: Step, cancel: threading.Event) -> None:
        cancel.set()
        ended.set()
        raise Interrupted("stopped", reason="interrupted")

    bench.before(stop)
    with pytest.raises(Interrupted):
        execute(made(), bench.world(), jobs=2)
    assert ended.is_set()
    assert bench.publisher.published == bench.publisher.failed == {}
    assert bench.store.leftovers() == []
    assert bench.kinds(Failed) == []


def test_a_bug_stops_the_build_and_is_not_dressed_up(bench: Bench) -> None:
    def crash(step: Step, _: threading.Event) -> None:
        raise ZeroDivisionError

    bench.before(crash)
    with pytest.raises(ZeroDivisionError):
        execute(made(), bench.world(), jobs=2)
    assert bench.cancel.is_set()


def test_no_more_steps_run_at_a_time_than_asked(bench: Bench) -> None:
    busy, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(2)

    def count(step: Step, _: threading.Event) -> None:
        nonlocal busy, most
        with lock:
            busy, most = busy + 1, max(most, busy + 1)
        if isinstance(step, Compile):
            together.wait(timeout=10)  # breaks unless the two compiles run side by side
        with lock:
            busy -= 1

    bench.before(count)
    execute(made(NANO, PI), bench.world(), jobs=2)
    assert most == 2


def test_verification_that_is_off_is_a_plain_publication(bench: Bench) -> None:
    [receipt] = execute(made(NANO, verify="off"), bench.world(), jobs=1)
    assert (receipt.status, receipt.verify.ok, receipt.verify.where) == ("ok", None, "none")
    assert "Verify" not in bench.workshop.performed


def test_a_receipt_survives_json(bench: Bench) -> None:
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert type(receipt).from_json(receipt.to_json()) == receipt


def test_seconds_count_from_the_start_of_the_build(bench: Bench) -> None:
    def wait(step: Step, _: threading.Event) -> None:
        bench.clock.time_s += 1.5 if isinstance(step, Verify) else 0.0

    bench.before(wait)
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.seconds == 1.5


def test_buildfailed_of_a_workshop_is_kept_as_it_is(bench: Bench) -> None:
    def die(step: Step, _: threading.Event) -> None:
        raise BuildFailed("engine died", reason="engine-died")

    bench.before(die)
    [receipt] = execute(made(NANO), bench.world(), jobs=1)
    assert receipt.error is not None
    assert receipt.error["reason"] == "engine-died"
