"""Trees: the kernel computes what ONNX Runtime does, to the bit; what is no tree is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from builder.compiler.trees import forest
from builder.errors import ModelRefused
from tests.unit.compiler.examples import Array, Example
from tests.unit.compiler.execution import prepared_folder, results
from tests.unit.compiler.random_trees import MODES, asked, by_index, grown, one_of, some_of, these

FLOAT, INT64, DOUBLE = TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE


def regressor(x: Array, **attributes: Any) -> Example:
    return Example(
        operator="TreeEnsembleRegressor",
        inputs={"x": x},
        attributes=grown("target", **({"n_targets": 1} | attributes)),
        domain="ai.onnx.ml",
        version=3,
    )


TREES = {
    **{mode: regressor(asked(60), modes=[mode]) for mode in MODES},
    **{f"{mode}, tracked": regressor(asked(60), modes=[mode], tracks=True) for mode in MODES},
    "every mode": regressor(asked(60), modes=MODES, tracks=True, trees=19),
    "doubles": regressor(asked(60, dtype=np.float64), dtype=np.float64, trees=11),
    "doubles against floats": regressor(asked(60, dtype=np.float64), tracks=True),
    "a leaf and no question": regressor(asked(3), depth=0, trees=2),
    "deep": regressor(asked(20), depth=12, trees=17),
    **{
        f"{way}, {name}": regressor(
            asked(40), aggregate_function=way, targets=targets, n_targets=3, trees=9
        )
        for way in ("SUM", "AVERAGE", "MIN", "MAX")
        for name, targets in (("all", these(0, 1, 2)), ("one", one_of(3)), ("some", some_of(3)))
    },
    "on a base": regressor(
        asked(20),
        targets=these(0, 1),
        n_targets=2,
        base_values=[0.1, 7.3],
        aggregate_function="AVERAGE",
    ),
    **{
        f"by index, {np.dtype(kind).name}, {way}": Example(
            operator="TreeEnsemble",
            inputs={"x": asked(60, dtype=kind, width=3)},
            outputs=(FLOAT if kind == np.float32 else DOUBLE,),
            attributes=by_index(kind, aggregate_function=way)
            | {"nodes_missing_value_tracks_true": [1, 0, 1, 1, 0, 0, 1]},
            domain="ai.onnx.ml",
            version=5,
        )
        for kind, way in ((np.float32, 1), (np.float64, 0))
    },
}


@pytest.mark.parametrize("name", TREES)
def test_a_walk_ends_where_onnx_runtimes_does(tmp_path: Path, name: str) -> None:
    found, expected = zip(*results(TREES[name].model, tmp_path, TREES[name].inputs), strict=True)
    np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_likely_classes_are_coupled_as_in_onnx_runtime(tmp_path: Path, classes: int) -> None:
    rng = np.random.default_rng(classes)
    pairs = classes * (classes - 1) // 2
    counts = [1 + number % 3 for number in range(classes)]

    def floats(count: int) -> list[float]:
        return [float(value) for value in rng.standard_normal(count)]

    example = Example(
        operator="SVMClassifier",
        inputs={"x": rng.standard_normal((9, 4)).astype(np.float32)},
        outputs=(INT64, FLOAT),
        domain="ai.onnx.ml",
        version=3,
        attributes={
            **{"kernel_type": "RBF", "kernel_params": [0.3, 0.0, 0.0]},
            **{"vectors_per_class": counts, "support_vectors": floats(4 * sum(counts))},
            **{"coefficients": floats(sum(counts) * (classes - 1)), "rho": floats(pairs)},
            **{"prob_a": floats(pairs), "prob_b": floats(pairs)},
            "classlabels_ints": list(range(10, 10 + classes)),
        },
    )
    found, expected = zip(*results(example.model, tmp_path, example.inputs), strict=True)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=2e-5)


def spoilt(**changes: Any) -> dict[str, Any]:
    return grown("target", trees=1, depth=3, n_targets=1, seed=5) | changes


PLAIN = spoilt()
LAST = len(PLAIN["nodes_modes"]) - 1
BROKEN = {
    "lists of different lengths": spoilt(nodes_values=[0.0]),
    "a circle": spoilt(nodes_truenodeids=[1, *[0] * LAST], nodes_modes=["BRANCH_LT"] * (LAST + 1)),
    "an answer that leads nowhere": spoilt(nodes_truenodeids=[99] * (LAST + 1)),
    "a mode that is none": spoilt(nodes_modes=["BRANCH_UP"] * (LAST + 1)),
    "a negative feature": spoilt(nodes_featureids=[-1] * (LAST + 1)),
    "a node twice": spoilt(nodes_nodeids=[0] * (LAST + 1)),
    "a target that is not there": spoilt(target_ids=[7] * len(PLAIN["target_ids"])),
    "a weight of no node": spoilt(target_nodeids=[99] * len(PLAIN["target_ids"])),
    "no tree": {"n_targets": 1},
    "a way that is none": spoilt(aggregate_function="MEDIAN"),
    "a root that is no node": by_index(tree_roots=[7]),
    "a leaf that is not there": by_index(nodes_falsenodeids=[2, 99, 3, 4, 6, 6, 8]),
    "a set that is not there": by_index(membership_values=by_index()["leaf_weights"]),
    "a circle by index": by_index(nodes_trueleafs=[0] * 7, nodes_truenodeids=[1, 2, 3, 0, 5, 5, 6]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_walk_would_end_in_is_refused(name: str) -> None:
    with pytest.raises(ModelRefused) as caught:
        forest(BROKEN[name])
    assert caught.value.reason == "malformed-trees"


def test_a_feature_that_the_input_has_not_is_refused(tmp_path: Path) -> None:
    example = regressor(asked(4, width=2))
    with pytest.raises(ModelRefused) as caught:
        results(example.model, tmp_path, example.inputs)
    assert caught.value.reason == "malformed-trees"


def test_a_long_chain_is_read_in_no_time(tmp_path: Path) -> None:
    count = 50_000
    chain = {
        **{"nodes_treeids": [0] * (2 * count + 1), "nodes_nodeids": list(range(2 * count + 1))},
        "nodes_modes": ["BRANCH_LEQ"] * count + ["LEAF"] * (count + 1),
        "nodes_truenodeids": [*range(count, 2 * count), *[0] * (count + 1)],
        "nodes_falsenodeids": [*range(1, count), 2 * count, *[0] * (count + 1)],
        **{"nodes_featureids": [0] * (2 * count + 1), "nodes_values": [0.0] * (2 * count + 1)},
        **{"target_treeids": [0], "target_nodeids": [2 * count], "target_ids": [0]},
        **{"target_weights": [1.0], "n_targets": 1},
    }
    assert len(forest(chain).nodes.leaf) == 2 * count + 1
    shared = chain | {"nodes_truenodeids": [2 * count] * (2 * count + 1)}
    assert len(forest(shared).roots) == 1


def test_what_trees_add_to_is_known() -> None:
    kinds = (these(0, 2), some_of(3))
    always, depends = (forest(grown("target", targets=k, n_targets=4)).scored() for k in kinds)
    assert always == (True, False, True, False)
    assert None in depends


@pytest.mark.parametrize("tracks", [False, True])
def test_seeded_features_are_missing_where_trees_know_a_way(tmp_path: Path, tracks: bool) -> None:
    prepared = prepared_folder(regressor(asked(40), tracks=tracks).model, tmp_path)
    assert bool(np.isnan(np.load(prepared / "check/inputs/x.npy")).any()) == tracks
