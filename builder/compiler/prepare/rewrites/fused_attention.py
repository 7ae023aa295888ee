"""ONNX Runtime's own attention: products, a softmax, and what may be hidden from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from builder.compiler.prepare.rewriting import Operand, Rewrite, Site

_LENGTHS, _BY_KEY, _BY_QUERY = 1, 2, 3
"""Ranks of a mask: how many keys count in each row, which, and which for each query."""


def attention(site: Site) -> bool:
    """Attention: of one product with the weights of queries, keys and values."""
    extents, weights = site.shape(0), site.shape(1)
    past = site.shape(4) if site.has(4) else (0,) * 5
    if extents is None or weights is None or past is None:
        return False
    if site.has(6) or site.attribute("do_rotary", 0):
        return False
    hidden = _hidden(site, mask=3, bias=5, lengths=(extents[1], past[3] + extents[1]))
    if hidden is None:
        return False
    sizes = site.attribute("qkv_hidden_sizes") or [weights[1] // 3] * 3
    query, *pair = _projected(site, sizes)
    if site.has(4):
        halves = [site.emit("Gather", site.node.input[4], np.int64(n), axis=0) for n in (0, 1)]
        pair = [site.emit("Concat", *both, axis=2) for both in zip(halves, pair, strict=True)]
    if site.wants(1):
        whole = [site.emit("Unsqueeze", one, np.asarray([0])) for one in pair]
        site.emit("Concat", *whole, to=site.node.output[1], axis=0)
    _attend(site, (query, *pair), sizes[0] // site.attribute("num_heads"), hidden)
    return True


def _projected(site: Site, sizes: Sequence[int]) -> list[str]:
    """Return queries, keys and values by head."""
    whole = site.emit("MatMul", *site.node.input[:2])
    if site.has(2):
        whole = site.emit("Add", whole, site.node.input[2])
    parts = site.emit_many("Split", whole, np.asarray(sizes), to=[None] * 3, axis=-1)
    return [_by_head(site, part, site.attribute("num_heads")) for part in parts]


def multi_head_attention(site: Site) -> bool:
    """MultiHeadAttention: of queries, keys and values, those of the past before them."""
    extents, keys = site.shape(0), _extent_of_keys(site)
    if extents is None or len(extents) != 3 or keys is None or site.has(8) or site.has(9):
        return False
    hidden = _hidden(site, mask=4, bias=5, lengths=(extents[1], keys))
    parts = _with_biases(site) if site.has(3) else list(site.node.input[:3])
    if hidden is None or parts is None:
        return False
    heads = site.attribute("num_heads")
    query, *pair = (
        _by_head(site, part, heads) if site.rank(position) == 3 else part
        for position, part in enumerate(parts)
    )
    for number, past in enumerate((6, 7)):
        if site.has(past):
            pair[number] = site.emit("Concat", site.node.input[past], pair[number], axis=2)
        if site.wants(1 + number):
            site.emit("Identity", pair[number], to=site.node.output[1 + number])
    _attend(site, (query, *pair), extents[2] // heads, hidden)
    return True


def _with_biases(site: Site) -> list[str] | None:
    """Add to queries, keys and values their part of the biases, which lie behind one another."""
    shapes = [site.shape(position) for position in range(3)]
    if any(shape is None or len(shape) != 3 for shape in shapes):
        return None
    sizes = np.asarray([shape[-1] for shape in shapes if shape])
    biases = site.emit_many("Split", site.node.input[3], sizes, to=[None] * 3, axis=0)
    parts = zip(site.node.input[:3], biases, strict=True)
    return [site.emit("Add", part, bias) for part, bias in parts]


def _extent_of_keys(site: Site) -> int | None:
    """Return how many keys there are, those of the past too; None where one tensor holds all."""
    if not site.has(1) or not site.has(2):
        return None
    key, past = site.shape(1), site.shape(6) if site.has(6) else (0,) * 4
    if key is None or past is None or len(key) not in (3, 4):
        return None
    return key[-2] + past[2]


def _by_head(site: Site, data: str, heads: int) -> str:
    """Return [batch, steps, heads * size] as [batch, heads, steps, size]."""
    return site.emit("Transpose", site.reshape(data, [0, 0, heads, -1]), perm=[0, 2, 1, 3])


def _hidden(site: Site, *, mask: int, bias: int, lengths: tuple[int, int]) -> list[Operand] | None:
    """Return what is added to the scores of so many queries and keys; None for another mask."""
    added: list[Operand] = [site.node.input[bias]] if site.has(bias) else []
    queries, keys = lengths
    dtype = site.dtype(0)
    if site.attribute("unidirectional", 0):
        later = np.triu(np.ones((queries, keys), np.bool_), 1 + keys - queries)
        added.append(np.where(later, np.finfo(dtype).min, 0).astype(dtype))
    if not site.has(mask):
        return added
    seen = _seen(site, mask, keys)
    if seen is None:
        return None
    nothing = np.asarray(site.attribute("mask_filter_value", -10000.0), dtype)
    return [*added, site.emit("Where", seen, np.asarray(0, dtype), nothing)]


def _seen(site: Site, mask: int, keys: int) -> str | None:
    """Return which keys count, in a shape that broadcasts against the scores."""
    name, shape, batch = site.node.input[mask], site.shape(mask), site.shape(0)
    rank = site.rank(mask)
    if rank == _LENGTHS and shape is not None and batch is not None and shape[0] == batch[0]:
        count = site.reshape(name, [-1, 1, 1, 1])
        return site.emit("Less", np.arange(keys, dtype=site.dtype(mask)), count)
    if rank not in (_BY_KEY, _BY_QUERY):
        return None
    seen = site.emit("Greater", name, np.asarray(0, site.dtype(mask)))
    return site.emit("Unsqueeze", seen, np.asarray([1, 2] if rank == _BY_KEY else [1]))


def _attend(site: Site, operands: Sequence[str], size: int, hidden: Sequence[Operand]) -> None:
    """Make the node's first output: means of the values, by how queries and keys agree."""
    query, key, value = operands
    scale = site.attribute("scale", 0.0) or 1 / math.sqrt(size)
    turned = site.emit("Transpose", key, perm=[0, 1, 3, 2])
    scores = site.emit("MatMul", query, turned)
    scores = site.emit("Mul", scores, np.asarray(scale, site.dtype(0)))
    for one in hidden:
        scores = site.emit("Add", scores, one)
    mean = site.emit("MatMul", site.emit("Softmax", scores, axis=-1), value)
    by_step = site.emit("Transpose", mean, perm=[0, 2, 1, 3])
    site.reshape(by_step, [0, 0, -1], to=site.node.output[0])


def rotary_embedding(site: Site) -> bool:
    """RotaryEmbedding: pairs of numbers turned by an angle that grows from step to step."""
    extents, cache = site.shape(0), site.shape(2)
    if extents is None or cache is None or site.attribute("is_packed_batching", 0):
        return False
    data, turned, size, by_step = site.node.input[0], 2 * cache[1], extents[-1], len(extents) == 3
    if by_step:
        size = size // site.attribute("num_heads", 0) if site.attribute("num_heads", 0) else turned
        data = site.reshape(data, [0, 0, -1, size])
    at = _places(site, extents[1 if by_step else 2])
    angle = [
        site.emit("Unsqueeze", site.emit("Gather", name, at, axis=0), _axis_of_heads(by_step))
        for name in site.node.input[2:4]
    ]
    result = _turn(site, data, angle, turned)
    if turned < size:
        result = site.emit("Concat", result, _slice(site, data, turned, size), axis=-1)
    site.reshape(result, extents, to=site.node.output[0])
    return True


def _axis_of_heads(by_step: bool) -> Operand:
    return np.asarray([2 if by_step else 1])


def _places(site: Site, steps: int) -> str:
    """Return each step's place: given, or counted from a first one."""
    name: str = site.node.input[1]
    if site.rank(1) == 2:
        return name
    return site.reshape(site.emit("Add", name, np.arange(steps)), [1, -1])


def _turn(site: Site, data: str, angle: Sequence[str], turned: int) -> str:
    """Turn the first numbers of each head, neighbours or halves, as pairs."""
    cosine, sine = angle
    neighbours = site.attribute("interleaved", 0)
    if neighbours:
        left, right = (_slice(site, data, first, turned, 2) for first in (0, 1))
    else:
        left, right = _slice(site, data, 0, turned // 2), _slice(site, data, turned // 2, turned)
    real = site.emit("Sub", site.emit("Mul", cosine, left), site.emit("Mul", sine, right))
    other = site.emit("Add", site.emit("Mul", sine, left), site.emit("Mul", cosine, right))
    if not neighbours:
        return site.emit("Concat", real, other, axis=-1)
    pairs = [site.emit("Unsqueeze", one, np.asarray([-1])) for one in (real, other)]
    return site.reshape(site.emit("Concat", *pairs, axis=-1), [0, 0, 0, turned])


def _slice(site: Site, data: str, start: int, end: int, step: int = 1) -> str:
    limits = (np.asarray([one]) for one in (start, end, -1, step))
    return site.emit("Slice", data, *limits)


TABLE: Mapping[str, Rewrite] = {
    "Attention": attention,
    "MultiHeadAttention": multi_head_attention,
    "RotaryEmbedding": rotary_embedding,
}
