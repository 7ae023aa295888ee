from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builder import matrix
from builder.model.target import Libc

FOLDER = Path(__file__).parents[3] / "targets"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml")}
NAMES = matrix.names(TEXTS)

# What Debian 12's qemu-user (7.2) can be; an unknown -cpu stops it.
QEMU_CPUS = {
    "qemu-aarch64": {"cortex-a35", "cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "max"},
    "qemu-arm": {"cortex-a7", "cortex-a8", "cortex-a9", "cortex-a15", "max"},
}


def test_the_matrix_is_valid() -> None:
    assert matrix.validate(TEXTS) == ()


def test_the_promised_boards_are_there() -> None:
    assert NAMES == (
        "aarch64-linux-musl",
        "android",
        "android-arm64",
        "android-armv7",
        "android-x86_64",
        "jetson-nano",
        "jetson-orin",
        "raspberry-pi-4",
        "raspberry-pi-armv7",
        "x86_64-linux",
        "x86_64-linux-musl",
    )


@pytest.mark.parametrize(
    ("name", "arch", "libc"),
    [
        ("x86_64-linux", "x86_64", Libc(family="glibc", floor="2.17")),
        ("x86_64-linux-musl", "x86_64", Libc(family="musl", floor=None)),
        ("aarch64-linux-musl", "aarch64", Libc(family="musl", floor=None)),
        ("android-arm64", "aarch64", Libc(family="bionic", floor=None, api=24)),
        ("android-armv7", "armv7", Libc(family="bionic", floor=None, api=24)),
        ("android-x86_64", "x86_64", Libc(family="bionic", floor=None, api=24)),
        ("raspberry-pi-armv7", "armv7", Libc(family="glibc", floor="2.28")),
        ("raspberry-pi-4", "aarch64", Libc(family="glibc", floor="2.31")),
        ("jetson-nano", "aarch64", Libc(family="glibc", floor="2.27")),
        ("jetson-orin", "aarch64", Libc(family="glibc", floor="2.31")),
    ],
)
def test_platforms(name: str, arch: str, libc: Libc) -> None:
    platform = matrix.load(TEXTS, name).platform
    assert (platform.arch, platform.libc) == (arch, libc)


@pytest.mark.parametrize("name", NAMES)
def test_images_are_pinned(name: str) -> None:
    assert re.search(r"@sha256:[0-9a-f]{64}$", matrix.load(TEXTS, name).toolchain.image)


@pytest.mark.parametrize("name", NAMES)
def test_emulators_know_the_cpu_they_are_told_to_be(name: str) -> None:
    target = matrix.load(TEXTS, name)
    if target.emulator is None:
        assert target.platform.arch == "x86_64"
    else:
        assert target.emulator.cpu in QEMU_CPUS[target.emulator.qemu]


@pytest.mark.parametrize("file", sorted(TEXTS))
def test_editors_are_told_the_schema(file: str) -> None:
    assert TEXTS[file].startswith("# yaml-language-server: $schema=schema.json\n")


def test_the_schema_file_is_the_generated_one() -> None:
    # A stale file is written anew as docs/targets.md says.
    committed = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))
    assert committed == matrix.json_schema()


def test_the_schema_lets_a_file_leave_values_to_its_parent() -> None:
    schema = matrix.json_schema()
    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    assert not any("required" in section for section in schema["$defs"].values())
