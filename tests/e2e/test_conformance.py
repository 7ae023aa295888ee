"""A sample of ONNX's own tests, through the compiler and the native library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPECTED = json.loads((ROOT / "ci" / "conformance" / "expected.json").read_text(encoding="utf-8"))
SAMPLE = 150


@pytest.mark.slow
def test_a_sample_of_what_is_expected_to_pass_passes(tmp_path: Path) -> None:
    report = tmp_path / "results.json"
    done = subprocess.run(
        (
            *(sys.executable, "-W", "ignore", "-m", "ci.conformance"),
            *("--sample", str(SAMPLE), "--json", str(report)),
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    results = json.loads(report.read_text(encoding="utf-8"))
    assert [r["name"] for r in results if r["verdict"] != "pass"] == []
    assert len(results) == SAMPLE


def test_at_least_97_percent_are_expected_to_pass() -> None:
    passing = sum(verdict == "pass" for verdict in EXPECTED.values())
    assert passing / len(EXPECTED) >= 0.97
