"""bin/run through its command line, under sanitizers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.runtime_builds import (
    CONSTANT,
    EXPECTED,
    SPOILERS,
    SUM,
    WEIGHTS,
    X,
    call,
    expect_failure,
    report,
    run,
)


def test_check_passes_and_writes_outputs(bundle: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    document = report(bundle, "--check", "--threads", "2", "--outputs", outputs)
    assert document["ok"] is True
    assert document["max_abs_error"] == 0
    assert [output["file"] for output in document["outputs"]] == list(EXPECTED)
    assert sorted(path.name for path in outputs.iterdir()) == sorted(f"{n}.npy" for n in EXPECTED)
    for name, value in EXPECTED.items():
        written = np.load(outputs / f"{name}.npy")
        assert written.dtype == value.dtype
        np.testing.assert_array_equal(written, value)


def test_check_fails_on_other_numbers(bundle: Path) -> None:
    wrong = CONSTANT.copy()
    wrong[3] += 1
    np.save(bundle / "check" / "expected" / "constant.npy", wrong)
    finished = run(bundle, "--check", "--threads", "2", "--json")
    document = json.loads(finished.stdout)
    verdicts = {output["file"]: output for output in document["outputs"]}
    assert (finished.returncode, document["ok"]) == (1, False)
    assert [name for name in EXPECTED if not verdicts[name]["ok"]] == ["constant"]
    assert verdicts["constant"]["mismatches"] == 1
    assert verdicts["constant"]["max_abs_error"] == 1
    assert document["max_abs_error"] == 1


@pytest.mark.parametrize(("slack", "status"), [("0", 1), ("1", 0)])
def test_integers_may_be_as_far_off_as_the_tolerance_says(
    bundle: Path, slack: str, status: int
) -> None:
    np.save(bundle / "check" / "expected" / "counts.npy", EXPECTED["counts"] + np.int32(1))
    limits = bundle / "check" / "tolerance.txt"
    limits.write_text(limits.read_text().replace("counts 1e-5 1e-5", f"counts {slack} 0"))
    assert run(bundle, "--check", "--threads", "2").returncode == status


@pytest.mark.parametrize(("wrong", "status"), [(0, 0), (2, 0), (3, 1)])
def test_so_many_elements_may_differ_where_results_jump(
    bundle: Path, wrong: int, status: int
) -> None:
    expected = EXPECTED["doubled"].copy()
    expected.flat[:wrong] += 100
    np.save(bundle / "check" / "expected" / "doubled.npy", expected)
    limits = bundle / "check" / "tolerance.txt"
    limits.write_text(limits.read_text().replace("doubled 1e-5 1e-5", "doubled 1e-5 1e-5 2"))
    finished = run(bundle, "--check", "--threads", "2", "--json")
    verdicts = {output["file"]: output for output in json.loads(finished.stdout)["outputs"]}
    assert finished.returncode == status
    assert (verdicts["doubled"]["mismatches"], verdicts["doubled"]["may_differ"]) == (wrong, 2)
    assert "differ, 2 may" in run(bundle, "--check", "--threads", "2").stdout


def test_check_tells_nan_from_numbers(bundle: Path) -> None:
    x, expected = X.copy(), SUM.copy()
    x[0, 5] = expected[0, 5] = np.nan
    x[1, 5] = expected[1, 5] = -np.inf
    for name, value in (("layer_sum", expected), ("doubled", 2 * expected)):
        np.save(bundle / "check" / "expected" / f"{name}.npy", value)
    np.save(bundle / "check" / "inputs" / "x.npy", x)
    assert report(bundle, "--check", "--threads", "2")["ok"] is True
    np.save(bundle / "check" / "inputs" / "x.npy", X)
    finished = run(bundle, "--check", "--threads", "2", "--json")
    assert finished.returncode == 1
    assert json.loads(finished.stdout)["outputs"][0]["max_abs_error"] is None  # infinite


def test_inference_writes_outputs_and_leaves_the_bundle_alone(bundle: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    shutil.copytree(bundle / "check" / "inputs", inputs)
    np.save(inputs / "x.npy", -X)
    document = report(bundle, "--inputs", inputs, "--outputs", outputs)
    assert [output["file"] for output in document["outputs"]] == list(EXPECTED)
    np.testing.assert_array_equal(np.load(outputs / "layer_sum.npy"), -X + X / 8 + np.float32(0.5))
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before


def test_info(bundle: Path) -> None:
    document = report(bundle, "--info", "--threads", "3")
    facts = {key: document[key] for key in ("model", "target", "abi", "threads", "kernels")}
    assert facts == {
        "model": "fixture",
        "target": "this-machine",
        "abi": 1,
        "threads": 3,
        "kernels": 5,
    }
    assert (document["weights_bytes"], document["arena_bytes"]) == (len(WEIGHTS), 128)
    assert document["inputs"][2] == {
        "name": "flags:0",
        "file": "flags_0",
        "dtype": "int64",
        "shape": [3],
        "size_bytes": 24,
    }
    assert document["outputs"][1]["name"] == 'doubled "\x01\ufffd'  # hostile, yet valid JSON
    assert "\x01" not in run(bundle, "--info").stdout


def test_bench(bundle: Path) -> None:
    document = report(bundle, "--bench", "--threads", "2", "--warmup", "1", "--runs", "7")
    latency = document["latency_us"]
    samples = sorted(latency["samples"])
    assert (document["runs"], document["threads"], len(samples)) == (7, 2, 7)
    assert (latency["min"], latency["median"], latency["p90"]) == (
        samples[0],
        samples[3],
        samples[6],
    )
    assert latency["mean"] == pytest.approx(sum(samples) / 7)
    assert document["init_us"] > 0
    assert document["peak_rss_bytes"] > 0
    assert document["cpu_us"] > 0


def test_bench_goes_on_for_min_seconds_and_needs_no_check_data(bundle: Path) -> None:
    shutil.rmtree(bundle / "check")
    document = report(bundle, "--bench", "--runs", "1", "--min-seconds", "0.05")
    assert sum(document["latency_us"]["samples"]) > 10_000
    assert document["runs"] > 1


def test_bench_pins_to_cores(bundle: Path) -> None:
    core = min(os.sched_getaffinity(0))
    document = report(bundle, "--bench", "--runs", "1", "--cores", f"{core},{core}")
    assert document["threads"] == 2


def test_cold_start_times_new_processes(bundle: Path) -> None:
    latency = report(bundle, "--bench", "--runs", "1", "--threads", "1")["latency_us"]
    document = report(bundle, "--cold-start", "--runs", "3", "--threads", "1")
    samples = sorted(document["cold_start_us"]["samples"])
    assert (document["runs"], len(samples)) == (3, 3)
    assert samples[0] > latency["min"] > 0
    assert document["cold_start_us"]["median"] == samples[1]


def test_cold_start_passes_on_what_failed(bundle: Path) -> None:
    x = X.copy()
    x[0, 0] = 1e31
    np.save(bundle / "check" / "inputs" / "x.npy", x)
    assert "too large" in expect_failure(4, bundle, "--cold-start", "--runs", "2")


def test_profile(bundle: Path) -> None:
    document = report(bundle, "--profile", "--runs", "3")
    kernels = document["kernels"]
    totals = [kernel["total_us"] for kernel in kernels]
    assert totals == sorted(totals, reverse=True)
    assert sum(kernel["share"] for kernel in kernels) == pytest.approx(1)
    guard = next(kernel for kernel in kernels if kernel["name"] == "guard")
    assert guard["nodes"] == ["Guard_0", "Relu_1"]
    assert guard["calls"] == 3


def test_help_is_not_a_failure(bundle: Path) -> None:
    finished = run(bundle, "--help")
    assert finished.returncode == 0
    assert "--min-seconds" in finished.stdout


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--bogus",),
        ("stray",),
        ("--check", "--bench"),
        ("--inputs", "somewhere"),
        ("--check", "--inputs", "somewhere"),
        ("--bench", "--outputs", "somewhere"),
        ("--bench", "--runs"),
        ("--bench", "--runs", "0"),
        ("--bench", "--runs", "many"),
        ("--bench", "--warmup", "-1"),
        ("--bench", "--min-seconds", "nan"),
        ("--bench", "--threads", "99999999999999999999"),
        ("--bench", "--cores", "2-1"),
        ("--bench", "--cores", "0,"),
        ("--bench", "--cores", "0-8191"),
        ("--bench", "--cores", "0,0", "--threads", "3"),
        ("--bench", "--cores", "8000"),
        ("--inputs", "no/such/folder", "--outputs", "somewhere"),
    ],
)
def test_runner_refuses_usage(bundle: Path, options: tuple[str, ...]) -> None:
    expect_failure(2, bundle, *options)


@pytest.mark.parametrize(
    "tolerance",
    [
        *("layer_sum 1", "layer_sum x y", "unknown 0 0", "", "a 0 nan"),
        *("layer_sum inf 0", "layer_sum 0 inf", "layer_sum 0 nan", "layer_sum -1 0"),
        *("layer_sum 1e999 0", "layer_sum 0 0 x", "layer_sum 0 0 -1", "layer_sum 0 0 1 1"),
    ],
)
def test_check_refuses_a_bad_tolerance_file(bundle: Path, tolerance: str) -> None:
    (bundle / "check" / "tolerance.txt").write_text(tolerance)
    expect_failure(2, bundle, "--check")


@pytest.mark.parametrize("what", ["inputs", "expected"])
@pytest.mark.parametrize("special", ["pipe", "device", "folder"])
def test_check_waits_for_nothing_that_is_no_file(bundle: Path, what: str, special: str) -> None:
    name = "x.npy" if what == "inputs" else "layer_sum.npy"
    place = bundle / "check" / what / name
    place.unlink()
    match special:
        case "pipe":
            os.mkfifo(place)
        case "device":
            place.symlink_to("/dev/zero")
        case "folder":
            place.mkdir()
    assert name in expect_failure(2, bundle, "--check")


@pytest.mark.parametrize("how", SPOILERS)
def test_runner_does_not_start_on_spoiled_weights(bundle: Path, how: str) -> None:
    SPOILERS[how](bundle / "share" / "weights.bin")
    told = expect_failure(3, bundle, "--check")
    assert "weights.bin" in told
    if how in ("folder", "fifo"):
        assert "not a regular file" in told


def test_runner_takes_weights_and_library_from_elsewhere(bundle: Path, tmp_path: Path) -> None:
    weights = (bundle / "share" / "weights.bin").rename(tmp_path / "w.bin")
    library = (bundle / "lib" / "libmodel.so").rename(tmp_path / "m.so")
    elsewhere = ("--weights", weights, "--library", library)
    assert report(bundle, "--check", "--threads", "2", *elsewhere)["ok"] is True
    other = bundle.rename(tmp_path / "other")
    (tmp_path / "bin").mkdir()
    runner = shutil.copy(other / "bin" / "run", tmp_path / "bin" / "run")
    finished = call(runner, "--check", "--threads", "2", "--bundle", other, *elsewhere)
    assert finished.returncode == 0, finished.stderr


def test_runner_does_not_start_without_a_model_library(bundle: Path) -> None:
    library = bundle / "lib" / "libmodel.so"
    shutil.copy(library, bundle / "kept")
    library.write_bytes(b"not an ELF")
    expect_failure(3, bundle, "--info")
    library.unlink()
    expect_failure(3, bundle, "--info")
    expect_failure(3, bundle, "--info", "--library", "libm.so.6")  # a library, but no model


def test_runner_reports_failing_kernels(bundle: Path) -> None:
    x = X.copy()
    x[0, 0] = 1e31
    np.save(bundle / "check" / "inputs" / "x.npy", x)
    line = expect_failure(4, bundle, "--check")
    for word in ("guard", "Guard_0", "Relu_1", "too large"):
        assert word in line


def test_runner_tells_a_value_that_the_model_cannot_have(bundle: Path) -> None:
    np.save(bundle / "check" / "inputs" / "flags_0.npy", np.array([1, -1001, 3], np.int64))
    line = expect_failure(5, bundle, "--check")
    said = "index -1001 is not in -1000 to 9223372036854775807: element 1 of tensor 'flags:0'"
    assert f"{said}, which node 'Add_3' reads" in line
    finished = run(bundle, "--check", "--json")
    assert json.loads(finished.stdout)["error"]["reason"] == "value-out-of-range"


def test_runner_notices_a_full_disk(bundle: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run([bundle / "bin" / "run", "--info"], stdout=full, check=False)
    assert finished.returncode == 4
    expect_failure(4, bundle, "--check", "--outputs", "/dev/full")


def test_dump_writes_what_each_kernel_computed(bundle: Path, tmp_path: Path) -> None:
    finished = run(bundle, "--dump", tmp_path / "dump")
    assert finished.returncode == 0, finished.stderr
    listed = json.loads((tmp_path / "dump" / "dump.json").read_text(encoding="utf-8"))["tensors"]
    assert [(entry["kernel"], entry["nodes"]) for entry in listed] == [
        ("add", ["Add_3"]),
        ("twice", ["Mul_4"]),
        ("count_tasks", ["Count_5"]),
    ]
    sums, doubled, _ = (np.load(tmp_path / "dump" / f"{entry['file']}.npy") for entry in listed)
    np.testing.assert_array_equal(doubled, 2 * sums)
    assert [entry["dtype"] for entry in listed] == ["float32", "float32", "int32"]
    np.testing.assert_array_equal(np.load(tmp_path / "dump" / "input-0.npy"), X)
    outputs = [np.load(path) for path in sorted((tmp_path / "dump").glob("output-*.npy"))]
    assert len(outputs) == len(EXPECTED)
    assert any(np.array_equal(made, doubled) for made in outputs)


def test_a_dump_goes_nowhere_that_is_not_there(bundle: Path, tmp_path: Path) -> None:
    assert "no/such" in expect_failure(4, bundle, "--dump", tmp_path / "no" / "such")
