"""Small models that ask for much: a day of computing, or minutes of whoever looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.e2e.hostile_models import FLOAT, Hostile, info, node, save, simple

BOOL, INT64 = TensorProto.BOOL, TensorProto.INT64
COSTLY = ("too-costly",)


def constant(name: str, value: object, dtype: type = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def equation(folder: Path, text: str, operands: int = 1) -> Path:
    return save(
        folder,
        simple([node("Einsum", ["x"] * operands, ["y"], name="the-sum", equation=text)]),
    )


def outer_product(folder: Path) -> Path:
    step = node("Einsum", ["x"] * 3, ["y"], name="the-sum", equation="ab,cd,ef->")
    return save(folder, simple([step], shape=(2000, 2000)))


def n_grams(folder: Path) -> Path:
    """Ask for windows with up to 2^62 skipped between their elements."""
    step = node(
        "TfIdfVectorizer",
        ["x"],
        ["y"],
        mode="TF",
        min_gram_length=2,
        max_gram_length=2,
        max_skip_count=2**62,
        ngram_counts=[0, 0],
        ngram_indexes=[0],
        pool_int64s=[1, 2],
    )
    graph = helper.make_graph([step], "g", [info("x", INT64, [4])], [info("y", FLOAT, None)])
    return save(folder, graph)


def products(folder: Path) -> Path:
    names = ["x", *(f"v{i}" for i in range(299)), "y"]
    steps = [node("MatMul", [names[i]] * 2, [names[i + 1]]) for i in range(300)]
    return save(folder, simple(steps, shape=(4096, 4096)))


def products_of_nothing(folder: Path) -> Path:
    """Multiply constants whose size only folding tells."""
    half = helper.make_tensor("half", FLOAT, [1], [0.5])
    names = [f"v{i}" for i in range(201)]
    steps = [
        node("ReduceProd", ["root"], ["one"], keepdims=1),
        node("Concat", ["one", "one"], ["extents"], axis=0),
        node("ConstantOfShape", ["extents"], ["v0"], value=half),
        *(node("MatMul", [names[i]] * 2, [names[i + 1]]) for i in range(200)),
        node("Add", ["x", names[-1]], ["y"]),
    ]
    return save(folder, simple(steps, shape=(1,), weights=(constant("root", [64, 64]),)))


def many_outputs_at_once(folder: Path) -> Path:
    """Hand out 16 GiB, of which no single value is large."""
    steps = [node("Relu", ["x"], [f"y{i}"]) for i in range(32)]
    outputs = [info(f"y{i}", FLOAT, None) for i in range(32)]
    graph = helper.make_graph(steps, "g", [info("x", FLOAT, [1 << 14, 1 << 13])], outputs)
    return save(folder, graph)


def window_of_nothing(folder: Path) -> Path:
    steps = [node("BlackmanWindow", ["n"], ["w"]), node("Add", ["x", "w"], ["y"])]
    return save(folder, simple(steps, shape=(1,), weights=(constant("n", 1 << 28),)))


def long_row(folder: Path) -> Path:
    return save(folder, simple([node("Add", ["x", "x"], ["y"])], shape=(1 << 26,)))


def random_gibibyte(folder: Path) -> Path:
    steps = [
        node("RandomNormal", [], ["r"], shape=[1 << 14, 1 << 14]),
        node("ReduceSum", ["r"], ["s"], keepdims=0),
        node("Add", ["x", "s"], ["y"]),
    ]
    return save(folder, simple(steps))


def doubling_loop(folder: Path, *shape: int) -> Path:
    """Double what is carried, sixty times."""
    body = helper.make_graph(
        [node("Identity", ["c"], ["on"]), node("Concat", ["v", "v"], ["w"], axis=0)],
        "body",
        [info("i", INT64, []), info("c", BOOL, []), info("v", FLOAT, None)],
        [info("on", BOOL, []), info("w", FLOAT, None)],
    )
    step = node("Loop", ["n", "t", "x"], ["y"], name="the-loop", body=body)
    weights = (constant("n", 60), constant("t", True, np.bool_))
    return save(folder, simple([step], shape=shape, weights=weights))


def namesake_loops(folder: Path) -> Path:
    """Write out four loops in each other, all of whose nodes have one name: 30,000 nodes."""
    step = node("Relu", ["v0"], ["w0"], name="n")
    for level in range(4):
        body = helper.make_graph(
            [node("Identity", [f"go{level}"], [f"on{level}"], name="n"), step],
            "body",
            [
                info(f"i{level}", INT64, []),
                info(f"go{level}", BOOL, []),
                info(f"v{level}", FLOAT, [2, 3]),
            ],
            [info(f"on{level}", BOOL, []), info(f"w{level}", FLOAT, [2, 3])],
        )
        taken, made = ("x", "y") if level == 3 else (f"v{level + 1}", f"w{level + 1}")
        step = node("Loop", ["many", "on", taken], [made], name="n", body=body)
    weights = (constant("many", 11), constant("on", True, np.bool_))
    return save(folder, simple([step], weights=weights))


def many_inputs(folder: Path) -> Path:
    inputs = [info(f"x{i}", FLOAT, [1]) for i in range(20_000)]
    step = node("Add", ["x0", "x1"], ["y"])
    return save(folder, helper.make_graph([step], "g", inputs, [info("y", FLOAT, None)]))


def many_outputs(folder: Path) -> Path:
    steps = [node("Relu", ["x"], [f"y{i}"]) for i in range(20_000)]
    outputs = [info(f"y{i}", FLOAT, None) for i in range(20_000)]
    return save(folder, helper.make_graph(steps, "g", [info("x", FLOAT, [1])], outputs))


def suppression(folder: Path) -> Path:
    step = node("NonMaxSuppression", ["x", "s", "m"], ["y"])
    graph = helper.make_graph(
        [step],
        "g",
        [info("x", FLOAT, [1, 100_000, 4]), info("s", FLOAT, [1, 100, 100_000])],
        [info("y", INT64, None)],
        [constant("m", [1 << 40])],
    )
    return save(folder, graph)


def average(folder: Path) -> Path:
    step = node("AveragePool", ["x"], ["y"], kernel_shape=[1000, 1000], pads=[500] * 4)
    return save(folder, simple([step], shape=(1, 1, 3000, 3000)))


def padded(folder: Path) -> Path:
    pads = constant("p", [0, 0, 1 << 20, 1 << 20])
    return save(folder, simple([node("Pad", ["x", "p"], ["y"], name="the-pad")], weights=(pads,)))


def resized(folder: Path) -> Path:
    sizes = constant("s", [1, 1, 1 << 20, 1 << 20])
    step = node("Resize", ["x", "", "", "s"], ["y"], name="the-resize", mode="nearest")
    return save(folder, simple([step], shape=(1, 1, 4, 4), weights=(sizes,)))


def one_hot(folder: Path) -> Path:
    step = node("OneHot", ["x", "d", "v"], ["y"], name="the-node")
    weights = [constant("d", 10**6), constant("v", [0, 1], np.float32)]
    graph = helper.make_graph(
        [step], "g", [info("x", INT64, [10**5])], [info("y", FLOAT, None)], weights
    )
    return save(folder, graph)


GRAPH = ("invalid-graph",)
LARGE = ("too-large",)

COSTLY_MODELS: tuple[Hostile, ...] = (
    Hostile(name="dots", make=lambda f: equation(f, "...."), reasons=GRAPH, named="the-sum"),
    Hostile(
        name="dots-twice", make=lambda f: equation(f, "a...b..."), reasons=GRAPH, named="the-sum"
    ),
    Hostile(name="dots-out", make=lambda f: equation(f, "ab->.."), reasons=GRAPH, named="the-sum"),
    Hostile(
        name="million-letters",
        make=lambda f: equation(f, "a" * 10**6),
        reasons=GRAPH,
        named="the-sum",
    ),
    Hostile(name="more-terms", make=lambda f: equation(f, "ab,ab"), reasons=GRAPH, named="the-sum"),
    Hostile(name="outer-product", make=outer_product, reasons=COSTLY),
    Hostile(name="n-grams", make=n_grams, reasons=COSTLY),
    Hostile(name="products", make=products, reasons=COSTLY),
    Hostile(name="products-of-nothing", make=products_of_nothing, reasons=COSTLY),
    Hostile(name="many-outputs-at-once", make=many_outputs_at_once, reasons=COSTLY),
    Hostile(name="window-of-nothing", make=window_of_nothing, reasons=LARGE),
    Hostile(name="long-row", make=long_row, reasons=LARGE),
    Hostile(name="random-gibibyte", make=random_gibibyte, reasons=COSTLY),
    Hostile(name="doubling-loop", make=lambda f: doubling_loop(f, 2, 3), reasons=COSTLY + LARGE),
    Hostile(name="doubling-row", make=lambda f: doubling_loop(f, 3), reasons=COSTLY + LARGE),
    Hostile(name="namesake-loops", make=namesake_loops, reasons=GRAPH),
    Hostile(name="many-inputs", make=many_inputs, reasons=("too-many-ends",)),
    Hostile(name="many-outputs", make=many_outputs, reasons=("too-many-ends",)),
    Hostile(name="suppression", make=suppression, reasons=COSTLY),
    Hostile(name="average", make=average, reasons=COSTLY),
    Hostile(name="padded", make=padded, reasons=LARGE, named="the-pad"),
    Hostile(name="resized", make=resized, reasons=LARGE, named="the-resize"),
    Hostile(name="one-hot", make=one_hot, reasons=LARGE, named="the-node"),
)
