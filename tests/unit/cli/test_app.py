from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import onnx
import pytest
from onnx import TensorProto, helper

from builder.cli.app import VERBS, run
from builder.cli.build import exit_code
from builder.cli.bundle_place import find_bundle
from builder.cli.environment import read_environment
from builder.cli.run import prefix
from builder.effects.payload_imports import Imports
from builder.errors import IntegrityError, ModelRefused, UsageError
from builder.model.receipt import RECEIPT_BYTES, LastGood
from builder.planning import runs_where
from tests.nouns import LOCAL, a_pc, a_target
from tests.unit.report.builds import a_lost_receipt, a_receipt

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, with a cache of its own and no Docker engine."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    return place


def a_model(path: Path, extents: tuple[int | str, ...] = (1, 4)) -> Path:
    node = helper.make_node("Relu", ["in put"], ["out"])
    graph = helper.make_graph(
        [node],
        "small",
        [helper.make_tensor_value_info("in put", TensorProto.FLOAT, extents)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, extents)],
    )
    onnx.save(helper.make_model(graph), path)
    return path


def failure(printed: Printed, *arguments: str) -> tuple[int, str]:
    """Run with ``--json`` and return the exit code and the reason."""
    code = run([*arguments, "--json"])
    told = json.loads(printed.readouterr().out)
    assert told["status"] == "failed"
    assert told["error"]["exit_code"] == code
    return code, told["error"]["reason"]


def told(printed: Printed, *arguments: str) -> Any:
    assert run(arguments) == 0
    return json.loads(printed.readouterr().out)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_what_its_list_entry_says(verb: str) -> None:
    command: click.Command = import_module(f"builder.cli.{verb.replace('-', '_')}").command
    assert command.get_short_help_str(limit=200) == VERBS[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: Printed) -> None:
    assert run([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: boardwright {verb} ")


def test_the_version_is_told(capsys: Printed) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("boardwright, version ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "--no-such-option"],
        ["no-such-verb"],
        ["cache", "clean"],
        ["cache", "clean", "--all", "--max-size", "2G"],
        ["cache", "clean", "--max-size", "two"],
        ["build", "--jobs", "0"],
        ["build", "--verify", "maybe"],
    ],
)
def test_wrong_usage_is_exit_code_2_as_json_too(arguments: list[str], capsys: Printed) -> None:
    assert failure(capsys, *arguments) == (2, "usage")


def test_a_usage_failure_is_one_line_and_a_remedy(capsys: Printed) -> None:
    assert run(["build", "--no-such-option"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, second = printed.err.splitlines()
    assert first.startswith("error: ")
    assert second == "  see: boardwright build --help"


@pytest.mark.parametrize("arguments", [[], ["cache"], ["targets"]])
def test_no_verb_prints_help_as_help(arguments: list[str], capsys: Printed) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(" ".join(("Usage: boardwright", *arguments)))
    assert "error:" not in printed.err
    assert len(printed.err.splitlines()) > 5


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_shell_gets_its_completion_script(
    shell: str, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_BOARDWRIGHT_COMPLETE", f"{shell}_source")
    assert run([]) == 0
    assert f"_BOARDWRIGHT_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_an_unknown_shell_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_BOARDWRIGHT_COMPLETE", "csh_source")
    assert run([]) == 2


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("boardwright b", ["build", "bisect", "bench"]),
        ("boardwright cache c", ["clean"]),
        ("boardwright build --dr", ["--dry-run"]),
        ("boardwright build --target jetson-n", ["jetson-nano"]),
    ],
)
def test_words_are_completed(
    words: str, found: list[str], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_BOARDWRIGHT_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert run([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line in found] == found


def test_a_bug_is_one_line(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("builder.cli.build.build", crash)
    assert run(["build"]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_ctrl_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("builder.cli.build.build", interrupt)
    assert run(["build"]) == 130


def test_build_names_what_it_lacks(workplace: Path, capsys: Printed) -> None:
    model = str(a_model(workplace / "m.onnx"))
    target = ("--target", "x86_64-linux")
    text = workplace / "text.onnx"
    text.write_text("not a model", encoding="utf-8")
    assert failure(capsys, "build") == (2, "no-model")
    assert failure(capsys, "build", model) == (2, "no-target")
    assert failure(capsys, "build", model, "--target", "mips") == (2, "unknown-target")
    assert failure(capsys, "build", "none.onnx", *target) == (2, "no-such-model")
    assert failure(capsys, "build", str(text), *target) == (3, "not-onnx")
    assert failure(capsys, "build", model, *target, "--shape", "x=0") == (2, "bad-shape")
    assert failure(capsys, "build", model, *target, "--name", "../up") == (2, "bad-name")
    assert failure(capsys, "build", model, *target, "--inputs", model) == (2, "not-npz")
    assert failure(capsys, "build", model, *target, "--targets", "none") == (2, "no-such-targets")


def test_a_dry_run_shows_the_plan_and_writes_no_output(workplace: Path, capsys: Printed) -> None:
    model = str(a_model(workplace / "m.onnx"))
    plan = told(capsys, "build", model, "--all", "--dry-run", "--json", "--toolchain", "local")
    kinds = [step["kind"] for step in plan["steps"]]
    assert kinds.count("Prepare") == 1
    # The one package is made of what the targets of its parts assemble.
    assert kinds.count("Package") == 1
    assert kinds.count("Assemble") + 1 == len(plan["goals"]) >= 7
    assert not any(step["cached"] for step in plan["steps"])
    assert not (workplace / "dist").exists()


def test_the_same_request_has_the_same_plan(workplace: Path, capsys: Printed) -> None:
    model = str(a_model(workplace / "m.onnx"))
    words = ("build", model, "-t", "jetson-*", "--dry-run", "--json", "--toolchain", "local")
    assert told(capsys, *words) == told(capsys, *words)


def test_init_writes_a_project_that_builds_without_arguments(
    workplace: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "models").mkdir()
    a_model(workplace / "models" / "Small Net.onnx")
    assert run(["init", "models/Small Net.onnx", "--target", "jetson-nano"]) == 0
    capsys.readouterr()
    below = workplace / "models"
    monkeypatch.chdir(below)
    plan = told(capsys, "build", "--dry-run", "--json", "--toolchain", "local")
    assert plan["model"] == "small-net"
    assert [goal["target"] for goal in plan["goals"]] == ["jetson-nano"]


def test_init_lists_the_shapes_to_fill_in(workplace: Path, capsys: Printed) -> None:
    a_model(workplace / "m.onnx", ("batch", 4))
    assert run(["init", "m.onnx"]) == 0
    assert "'in put'" in capsys.readouterr().out
    assert run(["init", "m.onnx", "--force", "--shape", "in put=1,4"]) == 0
    assert "'in put'" not in capsys.readouterr().out
    assert "[1, 4]" in (workplace / "boardwright.yaml").read_text(encoding="utf-8")


def test_init_touches_nothing_that_is_there(workplace: Path, capsys: Printed) -> None:
    a_model(workplace / "m.onnx")
    file = workplace / "boardwright.yaml"
    file.write_text("mine", encoding="utf-8")
    assert run(["init", "m.onnx"]) == 2
    assert file.read_text(encoding="utf-8") == "mine"
    assert "--force" in capsys.readouterr().err


def test_init_refuses_what_is_no_input_and_what_is_no_target(
    workplace: Path, capsys: Printed
) -> None:
    a_model(workplace / "m.onnx")
    assert run(["init", "m.onnx", "--shape", "other=1"]) == 2
    assert run(["init", "m.onnx", "--target", "mips"]) == 2
    assert not (workplace / "boardwright.yaml").exists()


def test_targets_are_listed_shown_and_described(capsys: Printed) -> None:
    listed = told(capsys, "targets", "list", "--json")
    assert "jetson-nano" in [target["name"] for target in listed["targets"]]
    assert told(capsys, "targets", "show", "jetson-nano", "--json")["target"]["name"] == (
        "jetson-nano"
    )
    assert told(capsys, "targets", "schema")["title"] == "Boardwright target"
    assert run(["targets", "show", "jetson-nano"]) == 0
    assert "mcpu: cortex-a57" in capsys.readouterr().out


def test_a_broken_target_of_the_users_is_named_with_position(
    workplace: Path, capsys: Printed
) -> None:
    (workplace / "mine").mkdir()
    (workplace / "mine" / "board.yaml").write_text("name: board\narch: mips\n", encoding="utf-8")
    assert run(["targets", "validate"]) == 0
    capsys.readouterr()
    assert run(["targets", "validate", "--targets", "mine"]) == 2
    assert "board.yaml:2:" in capsys.readouterr().err


def test_an_empty_cache_is_no_failure(capsys: Printed) -> None:
    assert told(capsys, "cache", "info", "--json")["entries"] == 0
    assert told(capsys, "cache", "clean", "--max-size", "1.5G", "--json")["removed_entries"] == 0


def test_doctor_tells_all_there_is_as_json(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = Imports(faults={}, unmet=())
    monkeypatch.setattr("builder.cli.doctor.try_imports", lambda *_: imports)
    run(["doctor", "--json"])
    checks = {
        check["name"]: check["state"] for check in json.loads(capsys.readouterr().out)["checks"]
    }
    assert checks["python"] == "ok"
    assert checks["docker engine"] == "absent"
    assert "qemu-aarch64" in checks


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_doctor_fails_a_cache_of_another_user_and_goes_on(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    imports = Imports(faults={}, unmet=())
    monkeypatch.setattr("builder.cli.doctor.try_imports", lambda *_: imports)
    cache = tmp_path / "theirs"
    cache.mkdir()
    os.chown(cache, 1234, 1234)
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(cache))
    assert run(["doctor", "--json"]) == 2
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert (checks["cache"]["state"], checks["disk"]["state"]) == ("missing", "ok")
    assert "BOARDWRIGHT_SAFE_DIRECTORY" in checks["cache"]["found"]


def test_run_needs_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_bundle(tmp_path)
    assert caught.value.reason == "no-bundle"


def test_an_archive_for_apps_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").touch()
    (tmp_path / "digits.aar").touch()
    with pytest.raises(UsageError) as caught:
        find_bundle(tmp_path)
    assert caught.value.reason == "not-runnable"


def test_a_bundle_is_found_from_its_targets_folder(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}", encoding="utf-8")
    assert find_bundle(tmp_path) == find_bundle(bundle) == bundle


def test_an_old_bundle_beside_a_failed_build_must_be_named_itself(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}", encoding="utf-8")
    good = LastGood(path=str(bundle), sha256="a", key="b", published_utc="2026-01-01T00:00:00Z")
    receipt = a_lost_receipt(last_good=good)
    (tmp_path / "receipt.json").write_text(json.dumps(receipt.to_json()), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        find_bundle(tmp_path)
    assert caught.value.reason == "last-build-failed"
    assert find_bundle(bundle) == bundle


@pytest.mark.parametrize("special", ["pipe", "link to a device", "too large"])
def test_a_receipt_that_is_no_plain_file_of_its_size_is_not_read(
    tmp_path: Path, special: str
) -> None:
    bundle, receipt = tmp_path / "bundle", tmp_path / "receipt.json"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}", encoding="utf-8")
    if special == "pipe":
        os.mkfifo(receipt)
    elif special == "link to a device":
        receipt.symlink_to("/dev/zero")
    else:
        good = LastGood(path=str(bundle), sha256="a", key="b", published_utc="2026-01-01T00:00:00Z")
        failed = json.dumps(a_lost_receipt(last_good=good).to_json())
        with receipt.open("w", encoding="utf-8") as file:
            file.write(failed)
            file.write(" " * RECEIPT_BYTES)
    assert find_bundle(tmp_path) == bundle


def test_foreign_code_needs_an_emulator() -> None:
    nowhere = read_environment({"PATH": "/nowhere"})
    with pytest.raises(UsageError) as caught:
        prefix(a_target(arch="armv7"), nowhere)
    assert caught.value.reason == "cannot-run"


def test_this_machines_own_code_needs_none() -> None:
    from builder.effects.machine import survey_machine

    machine = survey_machine([], search_path="")
    own = a_target(arch=machine.arch or "x86_64", features=())
    if runs_where(own, LOCAL, machine) == "native":
        assert prefix(own, read_environment({"PATH": ""})) == ()
    assert runs_where(a_pc(("no-such-feature",)), LOCAL, machine) is None


def test_the_exit_code_is_that_of_the_first_failure_and_each_is_said_once(
    capsys: Printed,
) -> None:
    refused = ModelRefused("no", reason="unsupported-operator").to_json()
    wrong = IntegrityError("wrong numbers", reason="verify-failed").to_json()
    receipts = [
        a_receipt("one"),
        a_receipt("two", status="failed", error=wrong),
        a_receipt("three", status="failed", error=refused),
        a_receipt("four", status="failed", error=refused),
    ]
    assert exit_code(receipts, as_json=False) == 5
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert exit_code(receipts[:1], as_json=False) == 0
