from __future__ import annotations

import dataclasses

import pytest

from builder.errors import UsageError
from builder.model.target import Libc, Target
from builder.model.toolchain import ImageToolchain, Toolchain
from builder.planning import Plan, plan
from builder.steps import Assemble, Package, Prepare, Verify
from tests.nouns import EMULATING, LOCAL, a_machine, a_pc, a_request, a_source, a_target

COMMON = ImageToolchain(dockerfile="FROM base\n", context=())
NANO, PI, PC = a_target("jetson-nano"), a_target("raspberry-pi-4", mcpu="cortex-a72"), a_pc()
MUSL = Libc(family="musl", floor=None)


def local(_: Target | None) -> Toolchain:
    return LOCAL


def kinds(made: Plan) -> list[str]:
    return [step.kind for step in made.steps]


def wheres(made: Plan) -> list[str | None]:
    steps = [goal.verify.step if goal.verify else None for goal in made.goals]
    return [step.where if isinstance(step, Verify) else None for step in steps]


def test_targets_share_the_prepared_model_and_the_runtime_of_their_platform() -> None:
    made = plan(a_request(), [NANO, PI], a_source(), local)
    assert kinds(made).count("Prepare") == 1
    assert kinds(made).count("BuildRuntime") == 1
    assert kinds(made).count("Compile") == 2
    assert kinds(made).count("Verify") == 2


def test_another_platform_has_its_own_runtime() -> None:
    made = plan(a_request(), [NANO, PC], a_source(), local)
    assert kinds(made).count("BuildRuntime") == 2


def test_needed_steps_come_first() -> None:
    made = plan(a_request(), [NANO, PI, PC], a_source(), local)
    seen: set[str] = set()
    for planned in made.steps:
        assert {key for _, key in planned.needs} <= seen
        seen.add(planned.key)


def test_closure_holds_what_one_goal_follows_from() -> None:
    made = plan(a_request(), [NANO, PC], a_source(), local)
    assert [step.kind for step in made.closure(made.goals[1])] == [
        "Prepare",
        "Compile",
        "BuildRuntime",
        "Assemble",
        "Verify",
    ]
    assert made.closure(made.goals[1])[-1].key == made.goals[1].key


def test_a_step_names_the_targets_that_wait_for_it() -> None:
    made = plan(a_request(), [NANO, PC], a_source(), local)
    waiting = {made.ref(step).kind: made.ref(step).targets for step in made.steps[:2]}
    assert waiting == {"Prepare": ("jetson-nano", "x86_64-linux"), "Compile": ("jetson-nano",)}


def test_the_model_is_prepared_where_all_targets_meet() -> None:
    def toolchain_of(target: Target | None) -> Toolchain:
        name = target.name if target else "common"
        return ImageToolchain(dockerfile=f"FROM {name}\n", context=())

    made = plan(a_request(), [NANO, PC], a_source(), toolchain_of)
    assert kinds(made).count("Prepare") == 1
    for planned in made.steps:
        common = planned.step.toolchain == toolchain_of(None)
        assert common == isinstance(planned.step, Prepare)


@pytest.mark.parametrize(
    ("target", "machine", "where"),
    [
        (PC, a_machine("x86_64"), "native"),
        (PC, a_machine("x86_64", features=("avx2",)), None),
        (PC, a_machine("aarch64"), None),
        (NANO, a_machine("aarch64"), "native"),
        (NANO, a_machine("x86_64"), None),
        (NANO, a_machine(None), None),
        (NANO, a_machine(emulators=("qemu-aarch64",)), None),
        (NANO, a_machine(sysroots=("/usr/aarch64-linux-gnu",)), None),
        (NANO, EMULATING, "qemu"),
        (a_target(libc=MUSL), a_machine(emulators=("qemu-aarch64",)), "qemu"),
    ],
)
def test_a_bundle_is_verified_where_its_code_runs(target, machine, where) -> None:  # type: ignore[no-untyped-def]
    made = plan(a_request(machine=machine), [target], a_source(), local)
    assert wheres(made) == [where]


def test_an_image_brings_its_own_emulator() -> None:
    made = plan(a_request(machine=a_machine()), [NANO, PC], a_source(), lambda _: COMMON)
    assert wheres(made) == ["qemu", "native"]


def test_a_native_verification_has_no_emulator() -> None:
    made = plan(a_request(machine=a_machine("aarch64")), [NANO], a_source(), local)
    last = made.steps[-1].step
    assert isinstance(last, Verify)
    assert last.emulator is None


def test_verification_can_be_left_out() -> None:
    made = plan(a_request(verify="off"), [NANO], a_source(), local)
    assert isinstance(made.steps[-1].step, Assemble)
    assert made.goals[0].key == made.goals[0].assemble.key


def test_required_verification_names_every_target_that_cannot_have_it() -> None:
    request = a_request(verify="require", machine=a_machine())
    with pytest.raises(UsageError) as caught:
        plan(request, [NANO, PC, PI], a_source(), local)
    assert caught.value.reason == "cannot-verify"
    assert caught.value.details == {"targets": ["jetson-nano", "raspberry-pi-4"]}


BIONIC = Libc(family="bionic", floor=None, api=24)
PHONES = (
    a_target("android-arm64", libc=BIONIC),
    a_target("android-x86_64", arch="x86_64", libc=BIONIC, emulator=None),
)
APPS = dataclasses.replace(PHONES[0], name="android", packs=PHONES)


def test_a_package_shares_the_steps_of_what_it_packs() -> None:
    made = plan(a_request(), [APPS, PHONES[0]], a_source(), local)
    assert kinds(made).count("Assemble") == kinds(made).count("Verify") == 2
    package = made.goals[0]
    assert package.verify == package.assemble
    assert isinstance(package.assemble.step, Package)
    assert package.assemble.step.where == "qemu"
    wanted = {step.key for step in made.closure(package)}
    assert {step.key for step in made.closure(made.goals[1])} <= wanted


def test_a_package_is_verified_whole_or_not_at_all() -> None:
    made = plan(a_request(machine=a_machine()), [APPS], a_source(), local)
    assert made.goals[0].verify is None
    assert "Verify" not in kinds(made)
    with pytest.raises(UsageError) as caught:
        plan(a_request(verify="require", machine=a_machine()), [APPS], a_source(), local)
    assert caught.value.details == {"targets": ["android"]}


def test_each_part_of_a_package_has_its_own_toolchain() -> None:
    def toolchain_of(target: Target | None) -> Toolchain:
        name = target.name if target else "common"
        return ImageToolchain(dockerfile=f"FROM {name}\n", context=())

    made = plan(a_request(), [APPS], a_source(), toolchain_of)
    step = made.goals[0].assemble.step
    assert isinstance(step, Package)
    assert step.toolchain == toolchain_of(APPS)
    assert [each.toolchain for each in step.assembled] == [toolchain_of(p) for p in PHONES]
