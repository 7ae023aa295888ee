"""Kernel keys, candidates, and what a record changes."""

from __future__ import annotations

from pathlib import Path

import onnx
import tvm
from onnx import helper

from builder.compiler import importing, passes, pipeline, tuning
from builder.compiler.kernels.choice import FIRST
from builder.model.target import Cpu
from builder.model.tuning import Tile, TunedTile
from tests.unit.compiler.execution import PLATFORM, prepared_folder
from tests.unit.compiler.models import model
from tests.unit.compiler.test_kernels import values

V3 = Cpu(mcpu="x86-64-v3", mattr=(), cores=1, features=())


def chain(*, names: str = "", height: int = 9, channels: int = 16) -> onnx.ModelProto:
    """Return Conv -> Relu -> Conv -> Relu, whose nodes and values are called as one likes."""
    weights = {f"{names}w0": values(16, 3, 1, 1), f"{names}w": values(channels, 16, 3, 3)}
    nodes = [
        helper.make_node("Conv", [f"{names}x", f"{names}w0"], [f"{names}a"], f"{names}1"),
        helper.make_node("Relu", [f"{names}a"], [f"{names}b"], f"{names}2"),
        helper.make_node("Conv", [f"{names}b", f"{names}w"], [f"{names}c"], f"{names}3"),
        helper.make_node("Relu", [f"{names}c"], [f"{names}y"], f"{names}4"),
    ]
    shape = {f"{names}x": [1, 3, height, 11]}
    return model(nodes, inputs=shape, outputs={f"{names}y": None}, weights=weights)


def kernels(made: onnx.ModelProto, folder: Path) -> tuple[tvm.IRModule, passes.Facts]:
    folder.mkdir()
    place = prepared_folder(made, folder)
    facts = pipeline.facts_of(PLATFORM, V3, lambda _: None)
    return pipeline.optimised(importing.read_prepared(place), place, facts), facts


def found(made: onnx.ModelProto, folder: Path) -> list[tuning.Tunable]:
    mod, facts = kernels(made, folder)
    with facts.targets[0]:
        return tuning.tunables(mod, facts.unit(facts.targets[0]))


def keys(made: onnx.ModelProto, folder: Path) -> list[str]:
    return [kernel.key for kernel in found(made, folder)]


def test_names_do_not_make_another_kernel(tmp_path: Path) -> None:
    assert keys(chain(), tmp_path / "a") == keys(chain(names="other/"), tmp_path / "b")


def test_shapes_make_another_kernel(tmp_path: Path) -> None:
    first = keys(chain(), tmp_path / "a")
    taller, wider = (
        keys(chain(height=10), tmp_path / "b"),
        keys(chain(channels=32), tmp_path / "c"),
    )
    assert len({*first, *taller}) == len(first) + len(taller)
    assert first[0] != wider[0]


def test_kernels_come_heaviest_first_with_the_usual_tile_first(tmp_path: Path) -> None:
    mod, facts = kernels(chain(), tmp_path / "a")
    unit = facts.unit(facts.targets[0])
    with facts.targets[0]:
        ordered = tuning.tunables(mod, unit)
        assert [k.weight for k in ordered] == sorted((k.weight for k in ordered), reverse=True)
        assert {name for kernel in ordered for name in kernel.names} <= {
            variable.name_hint for variable in mod.functions
        }
        for kernel in ordered:
            tiles = tuning.candidates(kernel.function, unit)
            assert 1 < len(tiles) <= tuning.SHORT_LIST
            [(usual, first), *_] = tuning.variants(kernel.function, tiles, unit)
            [(_, second)] = tuning.variants(kernel.function, tiles[1:2], unit)
            assert usual == tiles[0]
            assert first.script() != second.script()


def scheduled(kernel: tuning.Tunable, tile: Tile | None, cpu: str) -> tuple[str, list[str]]:
    log: list[str] = []
    tiles = [] if tile is None else [TunedTile(kernel=kernel.key, cpu=cpu, tile=tile)]
    facts = pipeline.facts_of(PLATFORM, V3, log.append)
    choice_of = tuning.choices(tiles, "x86-64-v3", log.append)
    mod = tvm.IRModule({"kernel": kernel.function})
    return passes.schedule(mod, facts.targets[0], facts, choice_of)["kernel"].script(), log


def test_a_tuned_tile_is_taken_by_its_cpu_alone(tmp_path: Path) -> None:
    kernel = found(chain(), tmp_path / "a")[0]
    usual, _ = scheduled(kernel, None, "x86-64-v3")
    assert scheduled(kernel, (1, 1, 1), "x86-64-v3")[0] != usual
    assert scheduled(kernel, (1, 1, 1), "x86-64-v4")[0] == usual


def test_a_tile_that_is_no_candidate_is_left_with_a_word(tmp_path: Path) -> None:
    kernel = found(chain(), tmp_path / "a")[0]
    usual, _ = scheduled(kernel, None, "x86-64-v3")
    text, log = scheduled(kernel, (99, 99), "x86-64-v3")
    assert text == usual
    assert any("no candidate any more" in line for line in log)


def test_without_records_no_kernel_is_looked_at() -> None:
    choice_of = tuning.choices([], "x86-64-v3", lambda _: None)
    assert choice_of(tvm.tirx.PrimFunc([], tvm.tirx.Evaluate(0))) is FIRST
