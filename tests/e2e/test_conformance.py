"""A sample of ONNX's own tests, through the compiler and the native library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map

from builder.compiler.operators import CONVERTERS
from builder.compiler.prepare.functions import EXPANDED
from builder.compiler.prepare.rewrites import TABLE
from builder.payload.tools import find_program
from ci.conformance.cases import collect
from ci.conformance.older import older, versions

ROOT = Path(__file__).parents[2]
EXPECTED = json.loads((ROOT / "ci" / "conformance" / "expected.json").read_text(encoding="utf-8"))
UNROLLED = ("If", "Loop", "Scan")
UNDECIDED = {
    **dict.fromkeys(
        ("SequenceInsert", "SplitToSequence"), "its tests have sequences at the border"
    ),
    **dict.fromkeys(("DFT", "STFT"), "ONNX Runtime rounds otherwise than the tests allow"),
    **dict.fromkeys(
        ("Compress", "NonMaxSuppression", "NonZero", "Unique"), "its shape depends on data"
    ),
}
"""Operators with tests none of which counts, though there is a conversion; and why."""
NOT_OLDER = {
    **dict.fromkeys(("Scatter", "Upsample"), "its last version only says that it is gone"),
    **dict.fromkeys(
        ("SequenceInsert", "SplitToSequence"), "its tests have sequences at the border"
    ),
    "StringNormalizer": "its tests have strings",
}
"""Operators that have a version in opsets 7 to 12 without a test; and why."""


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_program(program) is None, reason=f"{program} is not installed")


def run(folder: Path, *options: str) -> list[dict[str, Any]]:
    """Run the program on what ``options`` say; it must succeed. Return its results."""
    report = folder / "results.json"
    done = subprocess.run(
        (
            *(sys.executable, "-W", "ignore", "-m", "ci.conformance"),
            *(*options, "--json", str(report)),
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    results: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))
    return results


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "sample"),
    [
        ("x86_64-linux", 200),
        pytest.param("raspberry-pi-4", 20, marks=needs("qemu-aarch64")),
        pytest.param("raspberry-pi-armv7", 20, marks=needs("qemu-arm")),
    ],
)
def test_a_sample_of_what_is_expected_to_pass_passes(
    tmp_path: Path, target: str, sample: int
) -> None:
    results = run(tmp_path, "--target", target, "--sample", str(sample))
    assert [r["name"] for r in results if r["verdict"] != "pass"] == []
    assert len(results) == sample


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "sample", "least"),
    [("--guard", 60, 60), ("--stress", 30, 30), ("--hostile", 60, 20)],  # few have integers
)
def test_a_sample_stays_in_its_tensors_and_is_right_with_other_data(
    tmp_path: Path, mode: str, sample: int, least: int
) -> None:
    assert len(run(tmp_path, mode, "--sample", str(sample))) >= least


def test_every_version_of_an_operator_from_opset_7_to_12_is_tested() -> None:
    todays = collect()
    made = {(case.operator, int(case.name.split("/")[0][len("opset") :])) for case in older(todays)}
    operators = {
        case.model.graph.node[0].op_type
        for case in todays
        if len(case.model.graph.node) == 1 and not case.model.graph.node[0].domain
    }
    wanted = {(operator, opset) for operator in operators for opset in versions(operator)}
    assert {operator for operator, _ in wanted - made} == set(NOT_OLDER)


def test_at_least_97_percent_are_expected_to_pass() -> None:
    passing = sum(verdict == "pass" for verdict in EXPECTED.values())
    assert passing / len(EXPECTED) >= 0.97


def test_every_operator_that_can_be_built_is_tested() -> None:
    cases = collect()
    buildable = {*_get_convert_map(), *CONVERTERS, *TABLE, *EXPANDED, *UNROLLED}
    tested = {case.operator for case in cases if case.name in EXPECTED}
    in_doubt = {case.operator for case in cases} & buildable - tested
    assert in_doubt == set(UNDECIDED)
