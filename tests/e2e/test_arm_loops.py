"""Kernels for Arm keep their sums in registers and their core's multiply-adds busy."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from ci.benchmarks import arm, arm_models, mca
from ci.benchmarks.arm_cores import CORES, Core

OUT_OF_ORDER = [core for core in CORES if core.pipeline is None]


@pytest.fixture(scope="module")
def llvm_mca() -> Path:
    try:
        found = mca.find()
    except SystemExit as missing:
        pytest.skip(str(missing))
    return found


@pytest.mark.parametrize("core", OUT_OF_ORDER, ids=lambda core: core.title)
def test_every_whole_tile_reaches_the_goal(core: Core, llvm_mca: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.onnx"
    onnx.save(arm_models.rows(), path)
    figures = arm.analysed(llvm_mca, (path, core))
    assert len(arm.held(core, figures)) >= 4
    assert arm.holds(core, figures)
