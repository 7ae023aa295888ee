"""Classical models: what is left of ai.onnx.ml computes what ONNX Runtime makes of the original."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.errors import ModelRefused
from tests.unit.compiler.examples import Array, Example, compare
from tests.unit.compiler.random_trees import asked, by_index, grown, one_of, some_of, these

RNG = np.random.default_rng(6)
F = np.float32
FLOAT, INT64, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
TYPES = {"float32": FLOAT, "float64": TensorProto.DOUBLE, "int32": TensorProto.INT32}
TYPES |= {"int64": INT64}
TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
NEAR_HALF = 2e-3
"""PROBIT takes the root of a difference of roots, so that a rounding there is its root here."""

TEXTS = ["x", "y", "z", "w"]


def floats(*shape: int) -> list[float]:
    return [float(value) for value in RNG.standard_normal(shape).astype(F).ravel()]


def classical(operator: str, x: Array, *, outputs: Any = (FLOAT,), **fields: Any) -> Example:
    given: dict[str, Any] = {"version": 3, "domain": "ai.onnx.ml", "opset": 17} | fields
    if given.get("attributes", {}).get("post_transform") in ("PROBIT", 4):
        given["absolute"] = NEAR_HALF
    return Example(operator=operator, inputs={"x": x}, outputs=outputs, **given)


def labelled(count: int, *, texts: bool, kind: str = "ints") -> dict[str, Any]:
    """Return labels of so many classes that do not simply count them."""
    return (
        {"classlabels_strings": TEXTS[:count]}
        if texts
        else {f"classlabels_{kind}": [4, 7, 9, 2][:count]}
    )


def label(texts: bool) -> int:
    return int(TEXT if texts else INT64)


def linear(how: str, classes: int, texts: bool) -> Example:
    x = RNG.standard_normal((9, 4)).astype(F) * F(0.3)
    x[0] = 0
    return classical(
        "LinearClassifier",
        x,
        outputs=(label(texts), FLOAT),
        attributes={
            **{"coefficients": floats(4 * classes), "post_transform": how},
            "intercepts": [0.0, *np.abs(floats(classes - 1))][:classes],
            **labelled(max(classes, 2), texts=texts),
        },
    )


KERNELS = {
    "LINEAR": [0.0, 0.0, 0.0],
    "RBF": [0.5, 0.0, 0.0],
    "POLY": [0.5, 0.3, 3.0],
    "SIGMOID": [0.3, 0.1, 0.0],
}


def support(kernel: str, classes: int, *, likely: bool, texts: bool, how: str = "NONE") -> Example:
    counts = [3, 2, 4, 1][:classes]
    pairs = classes * (classes - 1) // 2
    odds = {"prob_a": [-abs(v) for v in floats(pairs)], "prob_b": floats(pairs)}
    return classical(
        "SVMClassifier",
        RNG.standard_normal((7, 4)).astype(F),
        outputs=(label(texts), FLOAT),
        stays=likely,
        attributes={
            **{"kernel_type": kernel, "kernel_params": KERNELS[kernel]},
            **{"vectors_per_class": counts, "support_vectors": floats(sum(counts), 4)},
            **{"coefficients": floats(sum(counts), classes - 1), "rho": floats(pairs)},
            **labelled(classes, texts=texts),
            **(odds if likely else {}),
            "post_transform": how,
        },
    )


def vector_regression(kernel: str, **others: Any) -> Example:
    return classical(
        "SVMRegressor",
        RNG.standard_normal((7, 4)).astype(F),
        attributes={
            **{"kernel_type": kernel, "kernel_params": KERNELS[kernel], "n_supports": 5},
            **{"support_vectors": floats(5, 4), "coefficients": floats(5), "rho": [0.3]},
            **others,
        },
    )


def without_vectors(classes: int, how: str, positive: bool) -> Example:
    weights = floats(4 * classes)
    return classical(
        "SVMClassifier",
        RNG.standard_normal((7, 4)).astype(F),
        outputs=(INT64, FLOAT),
        attributes={
            **{"rho": [0.1], "kernel_params": [0.0, 0.0, 0.0], "post_transform": how},
            "coefficients": [abs(w) if positive else w for w in weights],
            **labelled(classes, texts=False),
        },
    )


def trees(count: int, how: str = "NONE", **fields: Any) -> Example:
    x = fields.pop("x", asked(40))
    given: dict[str, Any] = {
        "targets": one_of(count),
        "n_targets": count,
        "post_transform": how,
    } | fields
    return classical("TreeEnsembleRegressor", x, stays=True, attributes=grown("target", **given))


CLASSES: dict[str, tuple[int, Any, list[float]]] = {
    "one class": (1, these(0), []),
    "one class on a base": (1, these(0), [0.4]),
    "three classes": (3, one_of(3), []),
    "three classes on a base": (3, one_of(3), [0.1, -0.3, 0.2]),
    "three classes, all at once": (3, these(0, 1, 2), []),
    "two of three classes": (3, one_of(2), []),
    "two classes": (2, these(0, 1), []),
    "two classes on a base": (2, these(0, 1), [0.2, -0.3]),
    "two classes, some at once": (2, some_of(2), []),
    "two classes, some at once, on a base": (2, some_of(2), [0.2, -0.3]),
    "a score for the first": (2, these(0), []),
    "a score for the first, on its base": (2, these(0), [0.2]),
    "a score for the first, on two bases": (2, these(0), [0.2, 0.3]),
    "a score for the second": (2, these(1), []),
    "a score for the second, on a base": (2, these(1), [0.2]),
    "a score for the second, on two bases": (2, these(1), [0.2, 0.3]),
}
LONE = {name for name in CLASSES if name.startswith(("a score for the first", "two classes, some"))}
"""With PROBIT, ONNX Runtime leaves a score of these to chance."""


def forest(name: str, how: str, positive: bool, **fields: Any) -> Example:
    count, targets, base = CLASSES[name]
    texts = count > 1 and positive
    base_values: dict[str, Any] = {"base_values": base} if base else {}
    given: dict[str, Any] = {
        "trees": 3,
        "targets": targets,
        "positive": positive,
        "post_transform": how,
    } | fields
    return classical(
        "TreeEnsembleClassifier",
        asked(40),
        outputs=(label(texts), FLOAT),
        stays=True,
        attributes=grown("class", **given, **base_values)
        | labelled(count, texts=texts, kind="int64s"),
    )


def features(kind: str, rank: int) -> dict[str, Example]:
    """Return what is done to features of one type, as rows or as a lone row."""
    x = asked(5, dtype=kind)[: 5 if rank == 2 else 1]
    x = x if rank == 2 else x[0]
    made = {
        "scaled by feature": classical(
            "Scaler", x, attributes={"offset": [0.1, 0.2, 0.3, 0.4], "scale": [1.0, 2.0, 3.0, 0.5]}
        ),
        "scaled alike": classical("Scaler", x, attributes={"offset": [0.1], "scale": [2.0]}),
        **{
            f"normalised by {norm}, {what}": classical(
                "Normalizer", data, attributes={"norm": norm}
            )
            for norm in ("MAX", "L1", "L2")
            for what, data in (("odd", x), ("nothing", np.zeros_like(x)), ("plain", plain(x)))
        },
        "among categories": classical(
            "OneHotEncoder", plain(x), attributes={"cats_int64s": [1, 0, -1, 1]}
        ),
    }
    if kind == "int32":
        del made["among categories"]  # ONNX Runtime has no such kernel
    if kind == "float32":
        made["above a threshold"] = classical(
            "Binarizer", np.nan_to_num(x), attributes={"threshold": 0.5}
        )
        for missing, filling in itertools.product(
            (float("nan"), 0.5), ([9.0], [1.0, 2.0, 3.0, 4.0])
        ):
            made[f"{len(filling)} for {missing}"] = classical(
                "Imputer",
                x,
                attributes={"imputed_value_floats": filling, "replaced_value_float": missing},
            )
    if kind == "int64":
        made["one for each"] = classical(
            "Imputer",
            x,
            outputs=(INT64,),
            attributes={"imputed_value_int64s": [1, 2, 3, 4], "replaced_value_int64": 1},
        )
    return made


def plain(x: Array) -> Array:
    return RNG.integers(-2, 3, x.shape).astype(x.dtype)


WHOLE = RNG.integers(-1, 6, (3, 5))
HALVES = np.where(WHOLE == 4, np.nan, WHOLE * 0.5).astype(F)
AGAIN = ["a", "b", "a", "c"]


def encoder(x: Array, output: int, version: int = 2, **attributes: Any) -> Example:
    return classical("LabelEncoder", x, outputs=(output,), version=version, attributes=attributes)


def tensor(values: Any, dtype: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype))


EXAMPLES = {
    **{
        f"linear, {classes} scores, {how}, texts {texts}": linear(how, classes, texts)
        for how, classes, texts in itertools.product(TRANSFORMS, (1, 2, 3), (False, True))
        if (how, classes) != ("PROBIT", 1)
    },
    **{
        f"linear regression, {targets} targets, {how}": classical(
            "LinearRegressor",
            RNG.standard_normal((9, 4)).astype(F),
            attributes={
                **{"coefficients": floats(4 * targets), "targets": targets},
                **{"intercepts": floats(targets), "post_transform": how},
            },
        )
        for how, targets in itertools.product(TRANSFORMS, (1, 3))
    },
    "linear regression without intercepts, of one row": classical(
        "LinearRegressor", asked(1)[0], attributes={"coefficients": floats(4), "targets": 1}
    ),
    **{
        f"support vectors, {kernel}, {classes} classes, likely {likely}": support(
            kernel, classes, likely=likely, texts=classes == 3
        )
        for kernel, classes, likely in itertools.product(KERNELS, (2, 3, 4), (False, True))
    },
    **{
        f"support vectors, {how}, {classes} classes, likely {likely}": support(
            "RBF", classes, likely=likely, texts=False, how=how
        )
        for how, classes, likely in itertools.product(TRANSFORMS[1:], (2, 3), (False, True))
        if (how, classes, likely) != ("PROBIT", 2, False)
    },
    **{
        f"no vectors, {classes} classes, {how}, positive {positive}": without_vectors(
            classes, how, positive
        )
        for classes, how, positive in itertools.product((1, 2, 3), TRANSFORMS, (False, True))
    },
    **{f"vector regression, {kernel}": vector_regression(kernel) for kernel in KERNELS},
    "one class inside or outside": vector_regression("RBF", one_class=1),
    **{f"trees, {n}, {how}": trees(n, how) for n, how in itertools.product((1, 2, 3), TRANSFORMS)},
    **{
        f"{way} of trees on a base": trees(
            3, aggregate_function=way, base_values=[0.1, -0.2, 0.3], targets=some_of(3), trees=2
        )
        for way in ("SUM", "AVERAGE", "MIN", "MAX")
    },
    "trees of version 1": classical(
        "TreeEnsembleRegressor",
        asked(9),
        stays=True,
        version=1,
        attributes=grown("target", n_targets=1),
    ),
    **{
        f"{name}, {how}, positive {positive}": forest(name, how, positive)
        for name, how, positive in itertools.product(CLASSES, TRANSFORMS, (False, True))
        if how != "PROBIT" or name not in LONE
    },
    **{
        f"trees by index, {way}, {how}": classical(
            "TreeEnsemble",
            asked(40),
            stays=True,
            version=5,
            attributes=by_index(aggregate_function=way, post_transform=how),
        )
        for way, how in itertools.product(range(4), range(5))
    },
    **{
        f"{kind} of rank {rank}, {name}": example
        for kind, rank in itertools.product(TYPES, (1, 2))
        for name, example in features(kind, rank).items()
    },
    "side by side": Example(
        operator="FeatureVectorizer",
        inputs={"x": plain(np.zeros((5, 4), np.int64)), "n": plain(np.zeros((5, 2), np.int64))},
        domain="ai.onnx.ml",
        version=3,
        attributes={"inputdimensions": [3, 4]},
    ),
    "chosen": Example(
        operator="ArrayFeatureExtractor",
        inputs={"x": asked(5)},
        weights={"i": np.asarray([[0, 2]])},
        domain="ai.onnx.ml",
    ),
    "integers to floats": encoder(
        WHOLE,
        FLOAT,
        keys_int64s=[0, 1, 2, 1],
        values_floats=[0.5, 1.5, 9.0, 7.0],
        default_float=-7.0,
    ),
    "floats to integers": encoder(
        HALVES, INT64, keys_floats=[float("nan"), 0.5, 1.0], values_int64s=[1, 2, 3]
    ),
    "not even a NaN": encoder(
        HALVES, INT64, 4, keys_floats=[float("nan"), 0.5, 1.0], values_int64s=[1, 2, 3]
    ),
    "integers to texts": encoder(WHOLE, TEXT, keys_int64s=[0, 1, 2, 3], values_strings=AGAIN),
    "floats to texts": encoder(
        HALVES, TEXT, keys_floats=[0.0, 0.5, 1.0, 2.0], values_strings=AGAIN, default_string="none"
    ),
    "places to texts": encoder(WHOLE, TEXT, 1, classes_strings=AGAIN),
    "doubles to doubles": encoder(
        HALVES.astype(np.float64),
        TensorProto.DOUBLE,
        4,
        keys_tensor=tensor([0, 0.5, 2], np.float64),
        values_tensor=tensor([1, 2, 3], np.float64),
        default_tensor=tensor([-9], np.float64),
    ),
    "categories to texts": classical(
        "CategoryMapper",
        WHOLE,
        outputs=(TEXT,),
        attributes={"cats_int64s": [1, 2, 3, 5], "cats_strings": AGAIN},
    ),
    **{
        f"a linear classifier of {kind}": classical(
            "LinearClassifier",
            plain(np.zeros((5, 4), kind)),
            outputs=(INT64, FLOAT),
            attributes={
                **{"coefficients": floats(12), "intercepts": floats(3)},
                **labelled(3, texts=False),
            },
        )
        for kind in ("float64", "int32", "int64")
    },
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_left_computes_the_same(tmp_path: Path, name: str) -> None:
    compare(tmp_path, EXAMPLES[name])


def texts_through(tmp_path: Path) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Return a model that makes texts of numbers, moves, compares and looks them up."""

    def ml(operator: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(operator, inputs, [output], domain="ai.onnx.ml", **attributes)

    nodes = [
        ml("LabelEncoder", ["x"], "s", keys_int64s=[0, 1, 2, 3], values_strings=AGAIN),
        helper.make_node("Reshape", ["s", "shape"], ["r"]),
        ml("LabelEncoder", ["r"], "whole", keys_strings=["b", "a", "?"], values_int64s=[1, 2, 3]),
        ml("OneHotEncoder", ["r"], "hot", cats_strings=["c", "q", "a"]),
        ml("LabelEncoder", ["r"], "other", keys_strings=["b", "a"], values_strings=["Q", "R"]),
        helper.make_node("Concat", ["other", "r"], ["both"], axis=0),
        helper.make_node("Equal", ["r", "b"], ["same"]),
        helper.make_node("Where", ["same", "r", "other"], ["either"]),
        ml("ArrayFeatureExtractor", ["classes", "i"], "chosen"),
    ]
    outputs = {"whole": INT64, "hot": FLOAT, "other": TEXT, "both": TEXT, "same": TensorProto.BOOL}
    outputs |= {"either": TEXT, "chosen": TEXT}
    inputs = {"x": WHOLE, "i": np.asarray([0, 2, 1])}
    graph = helper.make_graph(
        nodes,
        "texts",
        [helper.make_tensor_value_info(n, INT64, value.shape) for n, value in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [
            numpy_helper.from_array(np.asarray([5, 3]), "shape"),
            helper.make_tensor("b", TEXT, [1], ["b"]),
            helper.make_tensor("classes", TEXT, [1, 3], ["u", "v", "u"]),
        ],
    )
    imports = [helper.make_opsetid("", 19), helper.make_opsetid("ai.onnx.ml", 2)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8), inputs


def test_texts_inside_a_model_are_indices_and_its_outputs_say_of_what(tmp_path: Path) -> None:
    import onnxruntime

    made, inputs = texts_through(tmp_path)
    onnx.save(made, tmp_path / "m.onnx")
    np.savez(tmp_path / "in.npz", **inputs)
    prepared = tmp_path / "out"
    prepared.mkdir()
    prepare(
        tmp_path / "m.onnx", given=tmp_path / "in.npz", seed=0, output=prepared, log=lambda _: None
    )
    there = onnxruntime.InferenceSession(made.SerializeToString()).run(None, inputs)
    here = onnxruntime.InferenceSession(prepared / "model.onnx").run(None, inputs)
    for spec, expected, found in zip(read_signature(prepared).outputs, there, here, strict=True):
        if expected.dtype == object:
            assert spec.labels and found.dtype == np.int64
            found = np.asarray(spec.labels, object)[found]
        else:
            assert not spec.labels
        np.testing.assert_array_equal(found, expected)


def refusal(tmp_path: Path, example: Example) -> ModelRefused:
    onnx.save(example.model, tmp_path / "m.onnx")
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelRefused) as caught:
        prepare(tmp_path / "m.onnx", seed=0, output=tmp_path / "out", log=lambda _: None)
    return caught.value


def test_dictionaries_are_refused_with_the_option_that_avoids_them(tmp_path: Path) -> None:
    made = forest("three classes", "NONE", False).model
    made.graph.node.append(
        helper.make_node("ZipMap", ["y1"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])
    )
    keyed = helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))
    del made.graph.output[1]
    made.graph.output.append(helper.make_value_info("z", helper.make_sequence_type_proto(keyed)))
    onnx.save(made, tmp_path / "m.onnx")
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelRefused) as caught:
        prepare(tmp_path / "m.onnx", seed=0, output=tmp_path / "out", log=lambda _: None)
    assert caught.value.reason == "dictionary"
    assert "zipmap=False" in str(caught.value.remedy)


def test_what_onnx_runtime_leaves_to_chance_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, linear("PROBIT", 1, False)).reason == "unsupported-operator"
