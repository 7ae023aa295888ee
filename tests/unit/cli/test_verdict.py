"""Measurements in; files and a verdict out."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.boards.measure import Outcome
from builder.cli.bench.verdict import Ledger
from builder.errors import MeasurementInvalid, PerformanceRegression
from tests.measurements import COMPARED, measurement


def outcome(**new: object) -> Outcome:
    return Outcome(new=measurement(**new), old=measurement(), failure=None, boot_id=None)  # type: ignore[arg-type]


def test_a_gate_is_passed_by_a_comparison_alone(tmp_path: Path) -> None:
    gate = Ledger(tmp_path, 0.05)
    with pytest.raises(MeasurementInvalid) as caught:
        gate.settle([outcome()])
    assert caught.value.reason == "no-comparison"
    assert len(gate.entries) == 2
    with pytest.raises(PerformanceRegression):
        gate.settle([outcome(comparison=COMPARED)])
    Ledger(tmp_path, 0.5).settle([outcome(comparison=COMPARED)])


def test_without_a_gate_nothing_need_be_compared(tmp_path: Path) -> None:
    assert len(Ledger(tmp_path, None).settle([outcome()])) == 1
