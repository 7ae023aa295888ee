from __future__ import annotations

import dataclasses

import pytest

from builder.cli.checkup import ENOUGH_DISK_BYTES, Check, Facts, examine, mending_command, to_json
from builder.effects.payload_imports import Imports, Unmet
from builder.model.target import Emulator
from tests.nouns import QEMU_ARM64, a_machine

QEMU_ARM = Emulator(qemu="qemu-arm", cpu="cortex-a7", sysroot="/usr/arm-linux-gnueabihf")

WELL = Facts(
    python=(3, 11),
    pins={"apache-tvm": "0.27", "numpy": "2.4"},
    locked={"apache-tvm": "0.27", "numpy": "2.4", "protobuf": "7.36"},
    installed={"apache-tvm": "0.27", "numpy": "2.5", "protobuf": "7.36"},
    imports=Imports(faults={}, unmet=()),
    docker=True,
    no_image=None,
    machine=a_machine(
        emulators=("qemu-aarch64", "qemu-arm"),
        sysroots=("/usr/aarch64-linux-gnu", "/usr/arm-linux-gnueabihf"),
    ),
    emulators=(QEMU_ARM64, QEMU_ARM, QEMU_ARM64),
    javac="17.0.15",
    adb=True,
    cache_root="/cache",
    cache_problem=None,
    free_bytes=ENOUGH_DISK_BYTES,
)


def states(**changes: object) -> dict[str, str]:
    checks = examine(dataclasses.replace(WELL, **changes))  # type: ignore[arg-type]
    return {check.name: check.state for check in checks if check.state != "ok"}


def checks_of(**changes: object) -> tuple[Check, ...]:
    return examine(dataclasses.replace(WELL, **changes))  # type: ignore[arg-type]


def test_a_whole_machine_has_nothing_to_mend() -> None:
    assert states() == {}
    assert mending_command(examine(WELL)) is None
    assert to_json(examine(WELL))["status"] == "ok"


def test_each_emulator_is_looked_at_once() -> None:
    assert [check.name for check in examine(WELL)].count("qemu-aarch64") == 1


@pytest.mark.parametrize(
    ("changes", "wanting"),
    [
        ({"python": (3, 10)}, {"python": "missing"}),
        ({"javac": "none"}, {"javac": "absent"}),
        ({"adb": False}, {"adb": "absent"}),
        ({"installed": {"apache-tvm": "0.27"}}, {"numpy": "missing"}),
        ({"installed": {"apache-tvm": "0.28", "numpy": "2.4"}}, {"apache-tvm": "missing"}),
        ({"docker": False}, {"docker engine": "absent"}),
        ({"no_image": "no route to the registry"}, {"toolchain images": "absent"}),
        ({"docker": False, "no_image": "no engine"}, {"docker engine": "absent"}),
        ({"cache_problem": "/cache is not writable"}, {"cache": "missing"}),
        ({"free_bytes": 1}, {"disk": "absent"}),
    ],
)
def test_what_is_wanting_is_named(changes: dict[str, object], wanting: dict[str, str]) -> None:
    assert states(**changes) == wanting


def test_one_command_mends_all_that_packages_can() -> None:
    checks = checks_of(docker=False, machine=a_machine(), installed={"numpy": "2.4"})
    assert mending_command(checks) == (
        "apt-get install -y docker.io libc6-arm64-cross libc6-armhf-cross qemu-user-static"
        " && pip install apache-tvm==0.27"
    )


FAULT = Imports(faults={"apache-tvm": "VersionError: gencode"}, unmet=())
OLD = Unmet(name="protobuf", found="5.29", wanted=">=6.31", owner="onnx")


def test_what_cannot_be_imported_fails_the_verdict_and_is_installed_anew() -> None:
    checks = checks_of(imports=FAULT, installed={**WELL.installed, "protobuf": "5.29"})
    [tvm] = (check for check in checks if check.state != "ok")
    assert (tvm.name, tvm.state) == ("apache-tvm", "missing")
    assert "VersionError: gencode" in tvm.found
    assert mending_command(checks) == (
        "pip install --force-reinstall --no-deps apache-tvm==0.27 protobuf==7.36"
    )


def test_a_requirement_that_is_not_met_is_mended_by_the_version_that_was_tried() -> None:
    imports = Imports(faults=FAULT.faults, unmet=(OLD, dataclasses.replace(OLD, owner="tvm")))
    assert states(imports=imports) == {"apache-tvm": "missing", "protobuf": "missing"}
    assert mending_command(checks_of(imports=imports)) == "pip install protobuf==7.36"
    assert to_json(checks_of(imports=imports))["status"] == "failed"


def test_a_pinned_package_below_what_is_needed_is_missing() -> None:
    unmet = Unmet(name="numpy", found="1.26", wanted=">=2.4", owner="boardwright")
    imports = Imports(faults={}, unmet=(unmet,))
    assert states(imports=imports) == {"numpy": "missing"}


def test_only_what_every_build_needs_fails_the_verdict() -> None:
    assert to_json(checks_of(docker=False))["status"] == "ok"
    assert to_json(checks_of(installed={}))["status"] == "failed"
