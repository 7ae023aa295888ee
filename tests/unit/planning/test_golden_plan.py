"""The plan of a small matrix, key for key: a change here rebuilds everybody's bundles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builder.model.target import Emulator, Libc, Target
from builder.model.toolchain import ImageToolchain, Toolchain
from builder.planning import plan
from builder.report.plan_view import plan_lines, plan_to_json
from tests.nouns import EMULATING, LOCAL, a_pc, a_request, a_source, a_target

QEMU_ARM = Emulator(qemu="qemu-arm", cpu="cortex-a7", sysroot="/usr/arm-linux-gnueabihf")
MATRIX = [
    a_target("jetson-nano"),
    a_target("raspberry-pi-4", mcpu="cortex-a72"),
    a_target("raspberry-pi-armv7", arch="armv7", mcpu="cortex-a7", emulator=QEMU_ARM),
    a_target("aarch64-linux-musl", libc=Libc(family="musl", floor=None), mcpu="generic"),
    a_pc(),
]


def image_of(target: Target | None) -> Toolchain:
    packages = "qemu-user-static" if target and target.emulator else ""
    return ImageToolchain(dockerfile=f"FROM debian\nRUN apt-get install {packages}\n", context=())


def test_the_local_plan(golden: Callable[[str, Any], None]) -> None:
    made = plan(a_request(machine=EMULATING), MATRIX, a_source(), lambda _: LOCAL)
    golden("plan-local", plan_to_json(made, cached={made.steps[0].key}))


def test_the_docker_plan(golden: Callable[[str, Any], None]) -> None:
    made = plan(a_request(machine=EMULATING), MATRIX, a_source(), image_of)
    golden("plan-docker", plan_to_json(made, cached=()))


def test_the_table_for_people(golden: Callable[[str, Any], None]) -> None:
    made = plan(a_request(machine=EMULATING), MATRIX, a_source(), lambda _: LOCAL)
    golden("plan-table", plan_lines(made, cached={made.steps[0].key}))
