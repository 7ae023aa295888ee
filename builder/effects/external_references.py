"""Which other files an ONNX model takes its weights from, read from the model alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder.effects.onnx_wire import (
    MAX_DEPTH,
    MOST_FIELDS,
    ends_early,
    has_too_many_fields,
    is_too_deep,
)
from builder.errors import ModelRefused

_LARGEST_BYTES = 2**31 - 1  # protobuf's own limit
_DECIMAL = re.compile(r"[0-9]{1,18}", re.ASCII)
_MOST_ITEMS = 200_000
"""Nodes, and tensors, of one model: the largest exports have some 20,000."""


def external_references(model: Path) -> dict[str, int]:
    """Return how many bytes each external file must have at least, by its location in the model.

    Locations are as the model spells them: hostile, until somebody has looked. Raises
    ``ModelRefused``: ``empty-file``, ``too-large``, ``too-deep``, ``too-many-nodes``,
    ``truncated``, ``not-onnx``, ``no-graph``, ``external-data-bounds``.
    """
    _require_size(model)
    _require_few_fields(model)
    proto = _parsed(model)
    if not proto.HasField("graph"):
        raise _refused(model, "not-onnx", "this is not an ONNX model")
    if not proto.graph.output:
        raise _refused(model, "no-graph", "the model computes nothing: its graph has no outputs")
    _require_few_items(proto, model)
    references: dict[str, int] = {}
    for tensor in _tensors(proto):
        if tensor.data_location == tensor.EXTERNAL:
            location, end = _extent(tensor, model)
            references[location] = max(references.get(location, 0), end)
    return references


def _require_size(model: Path) -> None:
    size_bytes = model.stat().st_size
    if size_bytes == 0:
        raise _refused(model, "empty-file", "the file is empty")
    if size_bytes > _LARGEST_BYTES:
        raise _refused(
            model,
            "too-large",
            f"the file has {size_bytes} bytes; protobuf reads 2 GiB",
            remedy="save the model with its weights as external data",
        )


def _require_few_fields(model: Path) -> None:
    """Refuse what would fill the memory just by being parsed."""
    if has_too_many_fields(model):
        what = f"the model has more than {MOST_FIELDS} nodes, names, weights and the like"
        raise _refused(model, "too-many-nodes", what)


def _parsed(model: Path) -> Any:
    import onnx  # 150 ms, and only for a model not seen before

    try:
        return onnx.load(str(model), format="protobuf", load_external_data=False)
    except MemoryError:
        raise _refused(model, "too-large", "the model needs more memory than there is") from None
    except OSError:
        raise
    except Exception as error:
        # protobuf has several ways of not liking a file, and which one depends on its back end.
        if is_too_deep(model):
            raise _refused(
                model, "too-deep", f"the model has more than {MAX_DEPTH} graphs in each other"
            ) from error
        if ends_early(model):
            raise _refused(
                model, "truncated", "the file ends early", remedy="copy or download it again"
            ) from error
        raise _refused(model, "not-onnx", "this is not an ONNX model") from error


def _require_few_items(proto: Any, model: Path) -> None:
    nodes = tensors = 0
    for scope in _scopes(proto):
        nodes += len(scope.node)
        tensors += len(getattr(scope, "initializer", ()))
        if max(nodes, tensors) > _MOST_ITEMS:
            most = "nodes" if nodes > tensors else "weights"
            raise _refused(model, "too-many-nodes", f"the model has more than {_MOST_ITEMS} {most}")


def _tensors(proto: Any) -> Iterator[Any]:
    """Give every tensor there is: of graphs, nodes, functions and training, however deep."""
    for scope in _scopes(proto):
        if hasattr(scope, "initializer"):
            yield from scope.initializer
            yield from _dense(scope.sparse_initializer)
        for attribute in _attributes(scope):
            yield from (attribute.t, *attribute.tensors)
            yield from _dense((attribute.sparse_tensor, *attribute.sparse_tensors))


def _scopes(proto: Any) -> Iterator[Any]:
    """Give every graph and function; each is given before anything in it is looked at."""
    waiting = [proto.graph, *proto.functions]
    for training in proto.training_info:
        waiting += [training.initialization, training.algorithm]
    while waiting:
        scope = waiting.pop()
        yield scope
        for attribute in _attributes(scope):
            waiting += attribute.graphs
            if attribute.HasField("g"):
                waiting.append(attribute.g)


def _attributes(scope: Any) -> list[Any]:
    own = [attribute for node in scope.node for attribute in node.attribute]
    return [*own, *getattr(scope, "attribute_proto", ())]


def _dense(sparse: Any) -> Iterator[Any]:
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)


def _extent(tensor: Any, model: Path) -> tuple[str, int]:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = (entries.get(name, "0") for name in ("offset", "length"))
    if not (_DECIMAL.fullmatch(offset) and _DECIMAL.fullmatch(length)):
        raise _refused(
            model,
            "external-data-bounds",
            f"tensor {tensor.name!r} lies at offset {offset!r}, length {length!r} of its file",
        )
    return entries.get("location", ""), int(offset) + int(length)


def _refused(model: Path, reason: str, what: str, remedy: str | None = None) -> ModelRefused:
    return ModelRefused(what, reason=reason, where=str(model), remedy=remedy)
