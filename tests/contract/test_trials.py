"""Trial bundles on a board: times are stated by their runners, never measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from builder.boards.bundle import LocalBundle
from builder.boards.draft import Order
from builder.boards.lock import hold
from builder.boards.trials import Tuned, measure_trials
from builder.errors import DeviceLost, DeviceRefused, Interrupted, MeasurementInvalid
from builder.model.tuning import Contest
from tests.bundles import NEEDS, make_bundle
from tests.contract.boards import Bench
from tests.userlands import make_userland

CPU = "x86-64-v3"
CONTESTS = (
    Contest(kernel="aa", description="conv", tiles=((1, 8), (1, 7), (2, 4)), calls=("c1", "c2")),
    Contest(kernel="bb", description="matmul", tiles=((12,), (8,)), calls=("m",)),
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "board").mkdir()
    return Bench(make_userland("system", tmp_path / "board"), tmp_path / "board" / "root")


def telling(folder: Path, **times_us: float) -> LocalBundle:
    """Make a bundle whose profile has these kernels, and another one that nobody asks about."""
    kernels = [
        {"name": name, "nodes": [], "mean_us": us, "share": 0.1}
        for name, us in {**times_us, "other": 3.0}.items()
    ]
    answer = f"echo '{json.dumps({'kernels': kernels})}'; exit 0"
    return make_bundle(
        folder, folder.name, fault=f"case \" $* \" in *' --profile '*) {answer} ;; esac"
    )


def measured(
    bench: Bench, bundles: Sequence[LocalBundle], tell: Callable[[str], None] = lambda _: None
) -> Tuned:
    orders = [Order(bundle=b, needs=NEEDS, who="anna@lab", wait_s=0, keep=3) for b in bundles]
    with hold(bench.board, "anna@lab") as lock:
        return measure_trials(
            bench.board,
            lock,
            orders,
            CONTESTS,
            CPU,
            budget_s=1.0,
            emit=bench.events.append,
            tell=tell,
        )


def three(folder: Path) -> list[LocalBundle]:
    return [
        telling(folder / "usual", c1=40.0, c2=60.0, m=5.0),
        telling(folder / "second", c1=30.0, c2=50.0, m=4.9),
        telling(folder / "third", c1=50.0, c2=70.0, m=5.0),
    ]


def test_the_fastest_tiles_are_found(bench: Bench, tmp_path: Path) -> None:
    conv, matmul = measured(bench, three(tmp_path)).findings
    assert (conv.tile, conv.tile_us, conv.usual, conv.usual_us) == ((1, 7), 80.0, (1, 8), 100.0)
    assert (matmul.tile, matmul.tile_us) == ((12,), 5.0)  # 2 % less are not clear
    assert {conv.cpu, matmul.cpu} == {CPU}


def test_the_board_is_left_as_it_was(bench: Bench, tmp_path: Path) -> None:
    bench.deploy(make_bundle(tmp_path / "deployed", "deployed"))
    before = bench.releases()
    measured(bench, three(tmp_path))
    assert (bench.releases(), bench.runs) == (before, "deployed")


def test_a_bundle_that_was_there_stays_there(bench: Bench, tmp_path: Path) -> None:
    bundles = three(tmp_path)
    bench.deploy(bundles[0])
    measured(bench, bundles)
    assert (bench.releases(), bench.runs) == ([bundles[0].id], "usual")


def test_a_bundle_that_fails_its_check_ends_it_and_leaves_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    wrong = make_bundle(tmp_path / "wrong", "wrong", fault="echo 'run: no' >&2; exit 3")
    with pytest.raises(DeviceRefused):
        measured(bench, [*three(tmp_path), wrong])
    assert bench.releases() == []


def test_a_profile_without_the_kernels_is_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(MeasurementInvalid) as failure:
        measured(bench, [telling(tmp_path / "usual", c1=40.0, m=5.0)])
    assert failure.value.reason == "bad-report"
    assert bench.releases() == []


def test_who_stops_it_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if "final" in line:
            bench.board.cancel.set()

    with pytest.raises(Interrupted):
        measured(bench, three(tmp_path), stop)
    bench.board.cancel.clear()
    assert bench.releases() == []


def test_a_link_that_dies_meanwhile_is_what_is_told(bench: Bench, tmp_path: Path) -> None:
    bundles = three(tmp_path)
    bench.watched.cut_after_bytes = bundles[0].size_bytes + 10
    with pytest.raises(DeviceLost):
        measured(bench, bundles)
