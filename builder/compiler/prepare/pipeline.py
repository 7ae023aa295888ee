"""The preparation of a model as a list of named passes."""

from __future__ import annotations

import dataclasses
import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import onnx

from builder.bundle.names import file_stem
from builder.compiler.jumping import may_jump_far
from builder.compiler.plan import DATA_TYPES
from builder.compiler.prepare import check_data, opsets, simplify, skeleton
from builder.compiler.prepare.as_given import write_as_given
from builder.compiler.prepare.batchnorm import fold_batchnorm
from builder.compiler.prepare.binding import bind
from builder.compiler.prepare.cautions import cautions, declared_shapes, misdeclared
from builder.compiler.prepare.check_sets import GIVEN, MOST_BYTES, SEEDED, Truth, write_sets
from builder.compiler.prepare.classical import rewrite_classical
from builder.compiler.prepare.contributed import admit_contributed, rewrite_contributed
from builder.compiler.prepare.control_flow import resolve_control_flow
from builder.compiler.prepare.costs import live_bytes, refuse_costly
from builder.compiler.prepare.empty import fold_empty
from builder.compiler.prepare.freezing import read_frozen
from builder.compiler.prepare.functions import expand_functions, inline_functions
from builder.compiler.prepare.half import widen_halves
from builder.compiler.prepare.input_sets import InputSet, further_sets
from builder.compiler.prepare.padding import explicit_padding
from builder.compiler.prepare.qdq import fuse_quantized, is_quantised
from builder.compiler.prepare.refuse import refuse_unsupported
from builder.compiler.prepare.rewrites import rewrite_operators
from builder.compiler.prepare.rewriting import Graph, Tripped
from builder.compiler.prepare.seeding import inputs_with_gaps, integer_ranges, seeded_inputs
from builder.compiler.prepare.sequences import resolve_sequences
from builder.compiler.prepare.sizes import folding_bytes, refuse_oversized, run_bytes
from builder.compiler.prepare.skeleton import Skeleton, SkeletonPass
from builder.compiler.refusals import dtype_name, value_types
from builder.compiler.signature import write_signature
from builder.compiler.weights import WeightsWriter
from builder.errors import BoardwrightError, ModelRefused
from builder.model.artifact import Caution
from builder.model.binding import UNBOUND, Binding
from builder.model.model_limits import DEFAULT_LIMITS, ModelLimits
from builder.model.tensor import Signature, TensorSpec
from builder.ports import Log

SKELETON_PASSES: tuple[SkeletonPass, ...] = (
    refuse_oversized,
    admit_contributed,
    opsets.upgrade_opset,
    expand_functions,
    rewrite_contributed,
    rewrite_classical,
    resolve_control_flow,
    rewrite_contributed,
    explicit_padding,
    fuse_quantized,
    simplify.fold,
    simplify.constants_to_initialisers,
    rewrite_classical,
    resolve_sequences,
    simplify.infer_shapes,
    fold_empty,
    widen_halves,
    simplify.infer_shapes,
    rewrite_operators,
    simplify.infer_shapes,
    refuse_unsupported,
    explicit_padding,
    fold_batchnorm,
    simplify.infer_shapes,
)


def prepare(
    model: Path,
    *,
    seed: int,
    output: Path,
    log: Log,
    binding: Binding = UNBOUND,
    frozen: Path | None = None,
    given: Path | None = None,
    limits: ModelLimits = DEFAULT_LIMITS,
    digests: Mapping[str, str] | None = None,
    allow_memory: Callable[[int], None] = lambda _: None,
    allow_run: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Prepare`` describes.

    A model beyond ``limits`` is refused before anything of it is computed. Its files are used only
    with the SHA-256 of ``digests``. ``allow_memory`` is told how many bytes folding constants
    takes, before anything is folded, and ``allow_run`` what a run of the model takes at least and
    at most, before ONNX Runtime runs it.
    """
    with WeightsWriter(output / skeleton.WEIGHTS_FILE) as writer:
        graph = skeleton.read(model, writer, limits, digests)
        as_given = skeleton.serialized(graph)
        _apply(inline_functions, graph, log)
        declared = declared_shapes(graph.model.graph)
        in_steps = is_quantised(graph.model)
        constants = bind(graph, binding, read_frozen(binding, frozen))
        allow_memory(folding_bytes(graph))
        for step in SKELETON_PASSES:
            _apply(step, graph, log)
        signature = _signature(graph)
        refuse_costly(graph, graph.model.graph)
        ranges, gaps = integer_ranges(Graph.of(graph)), inputs_with_gaps(Graph.of(graph))
        jumps = may_jump_far(graph.model.graph, value_types(graph.model.graph))
        skeleton.write(graph, output / "model.onnx")
    needed = live_bytes(graph.model.graph, graph.spans), run_bytes(graph) + MOST_BYTES
    del graph  # ONNX Runtime is about to hold the weights once more
    allow_run(*needed)
    write_signature(signature, output)
    if given is not None:
        first = InputSet(name=GIVEN, inputs=check_data.given_inputs(given, signature.inputs))
        further: tuple[InputSet, ...] = ()  # whoever gives inputs says that others do not suit
    else:
        inputs = seeded_inputs(signature.inputs, ranges, seed, gaps)
        first = InputSet(name=SEEDED, inputs=inputs)
        further = tuple(further_sets(inputs, signature.inputs, ranges, seed, jumps=jumps))
    truth = write_sets(
        output,
        signature,
        first,
        further,
        model=write_as_given(output, as_given, constants),
        constants=constants,
        in_steps=in_steps,
    )
    log(f"reference: {len(truth.expected)} outputs from ONNX Runtime")
    found = [*misdeclared(declared, signature.outputs), *_cautions(truth)]
    for caution in found:
        log(f"caution: {caution.output}: {caution.why}")
    text = json.dumps([dataclasses.asdict(caution) for caution in found], indent=1)
    (output / "cautions.json").write_text(f"{text}\n", encoding="utf-8")


def _apply(step: SkeletonPass, graph: Skeleton, log: Log) -> None:
    """Rewrite the model by one pass; what it did not foresee is a refusal that names the node."""
    try:
        step(graph)
    except (BoardwrightError, OSError, MemoryError):
        raise
    except Exception as error:
        traceback.print_exc()
        raise _unpreparable(step, error) from None
    log(f"{step.__name__}: {len(graph.model.graph.node)} nodes")


def _unpreparable(step: SkeletonPass, error: Exception) -> ModelRefused:
    what, cause, details = "it", error, {}
    if isinstance(error, Tripped):
        what = f"node {error.node!r} ({error.operator})"
        details = {"node": error.node, "operator": error.operator}
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return ModelRefused(
        f"the model cannot be prepared: {step.__name__} does not know what to do with {what}",
        reason="unpreparable",
        why=" ".join(f"{type(cause).__name__}: {cause}".split())[:300],
        remedy="see whether it is a valid model: onnx.checker.check_model; please report it",
        details=details,
    )


def _signature(graph: Skeleton) -> Signature:
    taken: set[str] = set()
    values = graph.model.graph
    return Signature(
        inputs=tuple(_spec(v, taken) for v in values.input if v.name not in graph.spans),
        outputs=tuple(_spec(v, taken, graph.labels.get(v.name, ())) for v in values.output),
    )


def _spec(value: onnx.ValueInfoProto, taken: set[str], labels: tuple[str, ...] = ()) -> TensorSpec:
    if not value.type.HasField("tensor_type"):
        raise _not_a_tensor(value, value.type.WhichOneof("value") or "nothing")
    dtype = dtype_name(value.type.tensor_type.elem_type)
    if dtype not in DATA_TYPES:
        raise _not_a_tensor(value, f"{dtype} elements")
    shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    file = file_stem(value.name, taken)
    return TensorSpec(name=value.name, file=file, dtype=dtype, shape=shape, labels=labels)


def _not_a_tensor(value: onnx.ValueInfoProto, found: str) -> ModelRefused:
    return ModelRefused(
        f"{value.name!r} holds {found}, not a tensor of numbers",
        reason="unsupported-type",
        remedy=f"inputs and outputs may be: {', '.join(DATA_TYPES)}",
    )


def _cautions(truth: Truth) -> Iterator[Caution]:
    for name, array in truth.expected.items():
        yield from cautions(name, array, [other[name] for other in truth.again])
