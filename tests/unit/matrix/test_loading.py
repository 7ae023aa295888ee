from __future__ import annotations

import dataclasses
import importlib
import sys

import pytest

import builder
from builder import matrix
from builder.errors import UsageError
from builder.model.target import (
    BenchDefaults,
    Cpu,
    DeviceTraits,
    Emulator,
    Libc,
    Platform,
    Target,
    ToolchainSpec,
)
from tests.unit.matrix.samples import BASE, BOARD, MATRIX, with_board

BOARD_TARGET = Target(
    name="board",
    description="A board",
    platform=Platform(arch="aarch64", libc=Libc(family="glibc", floor="2.27")),
    cpu=Cpu(mcpu="cortex-a57", mattr=("+neon",), cores=4, features=("asimd",)),
    weights="file",
    toolchain=ToolchainSpec(image="debian:bookworm-slim", packages=("qemu-user-static",)),
    emulator=Emulator(qemu="qemu-aarch64", cpu="cortex-a53", sysroot="/usr/aarch64-linux-gnu"),
    device=DeviceTraits(machines=("aarch64",), run_dir="~/boardwright"),
    bench=BenchDefaults(threads=(1, 4), warmup=5, min_runs=30),
)


def refusal(texts: dict[str, str], name: str = "board") -> UsageError:
    with pytest.raises(UsageError) as caught:
        matrix.load(texts, name)
    return caught.value


def test_a_target_is_its_file_and_what_it_extends() -> None:
    assert matrix.load(MATRIX, "board") == BOARD_TARGET


def test_a_users_file_replaces_the_built_in_one_of_its_name() -> None:
    texts = {**MATRIX, "mine/board.yaml": BOARD.replace("A board", "My board")}
    assert matrix.load(texts, "board") == dataclasses.replace(BOARD_TARGET, description="My board")


@pytest.mark.parametrize(
    ("line", "reason", "where"),
    [
        ("cpuu: {}", "unknown-key", "board.yaml:6:1"),
        ("bench: {treads: [1]}", "unknown-key", "board.yaml:6:9"),
        ("arch: mips", "unknown-value", "board.yaml:6:7"),
        ("arch: [aarch64]", "unknown-value", "board.yaml:6:7"),
        ("weights: beside", "unknown-value", "board.yaml:6:10"),
        ("weights:", "unknown-value", "board.yaml:6:9"),
        ("emulator: null", "missing-emulator", "board.yaml:6:11"),
        ("bench: fast", "wrong-type", "board.yaml:6:8"),
        ("bench: {threads: 4}", "wrong-type", "board.yaml:6:18"),
        ("bench: {threads: [1, '4']}", "wrong-type", "board.yaml:6:22"),
        ("bench: {threads: []}", "bad-value", "board.yaml:6:18"),
        ("bench: {threads: [0]}", "bad-value", "board.yaml:6:19"),
        ("bench: {warmup: -1}", "bad-value", "board.yaml:6:17"),
        ("bench: {min_runs: 2.5}", "wrong-type", "board.yaml:6:19"),
        ("bench: {min_runs: true}", "wrong-type", "board.yaml:6:19"),
        ("abstract: no", "wrong-type", "board.yaml:6:11"),
        ("device: {run_dir: ~/../etc}", "bad-value", "board.yaml:6:19"),
        ("device: {run_dir: relative/path}", "bad-value", "board.yaml:6:19"),
        ("device: {run_dir: '/tmp/$(reboot)'}", "bad-value", "board.yaml:6:19"),
        ("device: {run_dir: '~/a b'}", "bad-value", "board.yaml:6:19"),
        ("device: {run_dir: ~}", "wrong-type", "board.yaml:6:19"),
        ("device: {machines: []}", "bad-value", "board.yaml:6:20"),
        ("toolchain: {packages: ['-o=Dpkg']}", "bad-value", "board.yaml:6:24"),
        ("toolchain: {packages: [gcc && reboot]}", "bad-value", "board.yaml:6:24"),
        ("toolchain: {image: 'debian@sha256:abc'}", "bad-value", "board.yaml:6:20"),
        ("toolchain: {image: -v}", "bad-value", "board.yaml:6:20"),
        ("emulator: {qemu: /bin/sh}", "bad-value", "board.yaml:6:18"),
        ("emulator: {sysroot: usr}", "bad-value", "board.yaml:6:21"),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(line: str, reason: str, where: str) -> None:
    error = refusal(with_board(f"{BOARD}{line}\n"))
    assert (error.reason, error.where) == (reason, where)


@pytest.mark.parametrize(
    ("old", "new", "reason", "where"),
    [
        ('"2.27"', "2.27", "wrong-type", "board.yaml:4:15"),
        ('"2.27"', '"2.5"', "bad-value", "board.yaml:4:15"),
        ('"2.27"', '"2.16"', "bad-value", "board.yaml:4:15"),
        ('"2.27"', '"new"', "bad-value", "board.yaml:4:15"),
        ('{floor: "2.27"}', "{}", "missing-floor", "board.yaml:4:1"),
        ("{floor:", "{family: musl, floor:", "musl-floor", "board.yaml:4:29"),
        ("{floor:", "{family: bionic, api: 24, floor:", "bionic-floor", "board.yaml:4:40"),
        ('{floor: "2.27"}', "{family: bionic}", "missing-api", "board.yaml:4:1"),
        ('{floor: "2.27"}', '{floor: "2.27", api: 24}', "api-not-bionic", "board.yaml:4:28"),
        ('{floor: "2.27"}', "{family: bionic, api: 23}", "bad-value", "board.yaml:4:29"),
        ("cortex-a57", "'cortex a57'", "bad-value", "board.yaml:5:13"),
        ("cortex-a57", "a, mattr: [neon]", "bad-value", "board.yaml:5:24"),
        ("cortex-a57", "a, features: [as-imd]", "bad-value", "board.yaml:5:27"),
        ("cortex-a57", "a, cores: 0", "bad-value", "board.yaml:5:23"),
        ("cortex-a57", "a, cores: 257", "bad-value", "board.yaml:5:23"),
        ("name: board", "name: bord", "name-not-file", "board.yaml:2:7"),
        ("name: board", "name: Board", "bad-value", "board.yaml:2:7"),
        ("name: board", "name: 4", "wrong-type", "board.yaml:2:7"),
        ("name: board\n", "", "missing-key", "board.yaml:1:1"),
        ("description: A board\n", "", "missing-key", "board.yaml:1:1"),
        ("A board", '"A\\nboard"', "bad-value", "board.yaml:3:14"),
    ],
)
def test_a_field_is_checked(old: str, new: str, reason: str, where: str) -> None:
    error = refusal(with_board(BOARD.replace(old, new)))
    assert (error.reason, error.where) == (reason, where)


def test_a_wrong_value_of_a_parent_is_refused_in_the_parents_file() -> None:
    error = refusal({**MATRIX, "base.yaml": BASE.replace("cores: 4", "cores: many")})
    assert (error.reason, error.where) == ("wrong-type", "base.yaml:8:10")


def test_what_is_missing_is_missed_by_the_file_that_was_asked_for() -> None:
    error = refusal({**MATRIX, "base.yaml": BASE.replace(", min_runs: 30", "")})
    assert (error.reason, error.where) == ("missing-key", "board.yaml:1:1")
    with_bench = BOARD + "bench: {warmup: 1}\n"
    error = refusal({"base.yaml": BASE.replace(", min_runs: 30", ""), "board.yaml": with_bench})
    assert (error.reason, error.where) == ("missing-key", "board.yaml:6:1")


def test_a_misspelled_key_is_answered_with_the_nearest_one() -> None:
    error = refusal(with_board(f"{BOARD}bench: {{treads: [1]}}\n"))
    assert "'threads'" in (error.remedy or "")
    assert error.why == "one of: min_runs, threads, warmup"


def test_an_unknown_value_is_answered_with_the_allowed_ones() -> None:
    assert refusal(with_board(f"{BOARD}arch: mips\n")).why == "one of: aarch64, armv7, x86_64"


def test_a_number_where_text_is_wanted_is_shown_as_it_was_written() -> None:
    error = refusal(with_board(BOARD.replace('"2.27"', "2.30")))
    assert '"2.30"' in (error.remedy or "")


def test_a_wrong_value_is_shown_without_what_a_terminal_might_obey() -> None:
    error = refusal(with_board(f'{BOARD}arch: "\\e[2J{"x" * 500}"\n'))
    assert error.what.isprintable()
    assert len(error.what) < 120


def test_all_problems_are_told_at_once_from_the_top_down() -> None:
    error = refusal(with_board(f"{BOARD}arch: mips\nbench: {{warmup: -1}}\nhue: red\n"))
    listed = [(problem["where"], problem["reason"]) for problem in error.details["problems"]]
    assert listed == [
        ("board.yaml:6:7", "unknown-value"),
        ("board.yaml:7:17", "bad-value"),
        ("board.yaml:8:1", "unknown-key"),
    ]
    assert (error.where, error.reason) == listed[0]


def test_one_problem_needs_no_list() -> None:
    assert refusal(with_board(f"{BOARD}arch: mips\n")).details == {}


def test_x86_64_needs_no_emulator() -> None:
    target = matrix.load(with_board(f"{BOARD}arch: x86_64\nemulator: null\n"), "board")
    assert target.emulator is None


def test_bionic_has_an_api_level() -> None:
    text = BOARD.replace('{floor: "2.27"}', "{family: bionic, api: 26}")
    libc = matrix.load(with_board(text), "board").platform.libc
    assert libc == Libc(family="bionic", floor=None, api=26)


PHONE = BOARD.replace('{floor: "2.27"}', "{family: bionic, api: 24}")


@pytest.mark.parametrize(
    ("packs", "reason"),
    [
        ("[board]", "unpackable"),  # itself
        ("[linux]", "unpackable"),
        ("[phone, phone]", "unpackable"),
        ("[phones, phone]", "unpackable"),
        ("[nothing]", "unknown-target"),
    ],
)
def test_only_different_targets_for_android_are_packed(packs: str, reason: str) -> None:
    texts = {
        **with_board(f"{PHONE}packs: {packs}\n"),
        "linux.yaml": BOARD.replace("name: board", "name: linux"),
        "phone.yaml": PHONE.replace("name: board", "name: phone"),
        "phones.yaml": PHONE.replace("name: board", "name: phones") + "packs: [board]\n",
    }
    assert refusal(texts).reason == reason
    assert reason in {problem.reason for problem in matrix.validate(texts)}


def test_what_a_target_packs_are_targets() -> None:
    texts = {
        **with_board(f"{PHONE}packs: [phone]\n"),
        "phone.yaml": PHONE.replace("name: board", "name: phone"),
    }
    assert matrix.load(texts, "board").packs == (matrix.load(texts, "phone"),)


def test_musl_has_no_floor() -> None:
    text = BOARD.replace('{floor: "2.27"}', "{family: musl}")
    assert matrix.load(with_board(text), "board").platform.libc == Libc(family="musl", floor=None)


def test_a_base_is_no_target() -> None:
    assert refusal(MATRIX, "base").reason == "abstract-target"


def test_a_concrete_target_may_be_extended() -> None:
    texts = {**MATRIX, "twin.yaml": "extends: board\nname: twin\n"}
    assert matrix.load(texts, "twin") == dataclasses.replace(BOARD_TARGET, name="twin")


def test_valid_texts_have_no_problems() -> None:
    assert matrix.validate(MATRIX) == ()


def test_every_file_is_validated_and_each_problem_told_once() -> None:
    texts = {
        "base.yaml": BASE.replace("cores: 4", "cores: many"),
        "board.yaml": BOARD,
        "broken.yaml": "a: [\n",
        "twin.yaml": "extends: board\nname: tween\n",
    }
    assert [(problem.where, problem.reason) for problem in matrix.validate(texts)] == [
        ("base.yaml:8:10", "wrong-type"),
        ("broken.yaml:2:1", "yaml-syntax"),
        ("twin.yaml:2:7", "name-not-file"),
    ]


def test_a_base_may_be_incomplete_but_not_wrong() -> None:
    texts = {"base.yaml": "name: base\nabstract: true\narch: armv7\nlibc: {family: glibc}\n"}
    assert matrix.validate(texts) == ()
    texts = {"base.yaml": "name: base\nabstract: true\narch: armv8\nfoo: 1\n"}
    assert [problem.where for problem in matrix.validate(texts)] == [
        "base.yaml:3:7",
        "base.yaml:4:1",
    ]


def test_pydantic_is_not_imported_before_a_target_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builder, "matrix", matrix)
    for module in [name for name in sys.modules if name.startswith("builder.matrix")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pydantic", None)  # makes importing it an ImportError
    fresh = importlib.import_module("builder.matrix")
    assert fresh.names(MATRIX) == ("board",)
    with pytest.raises(ImportError):
        fresh.load(MATRIX, "board")
