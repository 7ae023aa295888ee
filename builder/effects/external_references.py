"""Which other files an ONNX model takes its weights from, read from the model alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from builder.errors import ModelRefused

_LARGEST_BYTES = 2**31 - 1  # protobuf's own limit
_DECIMAL = re.compile(r"[0-9]{1,18}", re.ASCII)
_VARINT, _LENGTH_DELIMITED = 0, 2
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})  # of ModelProto in onnx.proto


def external_references(model: Path) -> dict[str, int]:
    """Return how many bytes each external file must have at least, by its location in the model.

    Locations are as the model spells them: hostile, until somebody has looked. Raises
    ``ModelRefused``: ``empty-file``, ``too-large``, ``truncated``, ``not-onnx``, ``no-graph``,
    ``external-data-bounds``.
    """
    _require_size(model)
    proto = _parsed(model)
    if not proto.HasField("graph"):
        raise _refused(model, "not-onnx", "this is not an ONNX model")
    if not proto.graph.output:
        raise _refused(model, "no-graph", "the model computes nothing: its graph has no outputs")
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
        if _ends_early(model):
            raise _refused(
                model, "truncated", "the file ends early", remedy="copy or download it again"
            ) from error
        raise _refused(model, "not-onnx", "this is not an ONNX model") from error


def _tensors(proto: Any) -> Iterator[Any]:
    """Give every tensor there is: of graphs, nodes, functions and training, however deep."""
    waiting = [proto.graph, *proto.functions]
    for training in proto.training_info:
        waiting += [training.initialization, training.algorithm]
    while waiting:
        scope = waiting.pop()
        if hasattr(scope, "initializer"):
            yield from scope.initializer
            yield from _dense(scope.sparse_initializer)
        attributes = [attribute for node in scope.node for attribute in node.attribute]
        for attribute in [*attributes, *getattr(scope, "attribute_proto", ())]:
            yield from (attribute.t, *attribute.tensors)
            yield from _dense((attribute.sparse_tensor, *attribute.sparse_tensors))
            waiting += attribute.graphs
            if attribute.HasField("g"):
                waiting.append(attribute.g)


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


def _ends_early(model: Path) -> bool:
    """Say whether the file is a ModelProto as far as it goes, by protobuf's wire format."""
    size_bytes = model.stat().st_size
    with model.open("rb") as file:
        while (tag := _varint(file)) is not None:
            if tag >> 3 not in _MODEL_FIELDS or tag & 7 not in (_VARINT, _LENGTH_DELIMITED):
                return False
            value = _varint(file)
            if value is None:
                return True
            if tag & 7 == _LENGTH_DELIMITED:
                if file.tell() + value > size_bytes:
                    return True
                file.seek(value, os.SEEK_CUR)
    return False


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            break
    return value


def _refused(model: Path, reason: str, what: str, remedy: str | None = None) -> ModelRefused:
    return ModelRefused(what, reason=reason, where=str(model), remedy=remedy)
