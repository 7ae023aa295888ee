"""Which input channels a block of outputs sums over, and the weights packed to match.

Channels are walked in runs: neighbours inside one block, the same number each time. A block of
outputs that spans several narrow groups sums over the channels of all of them, with zeros where an
output does not look. Of groups wider than a block it sums over the first alone; what the few blocks
in which a group ends lack is summed apart, a block a boundary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """``runs`` runs of ``run`` channels for every block of ``lanes`` outputs.

    Groups are ``group_inputs`` and ``group_outputs`` channels wide; ``run`` divides the first.
    ``skipped`` groups come before the first that is walked.
    """

    lanes: int
    run: int
    runs: int
    group_inputs: int
    group_outputs: int
    skipped: int = 0

    def first(self, block: Any) -> Any:
        """Return the number of the first run of a block of outputs: an integer or an expression."""
        group = block * self.lanes // self.group_outputs + self.skipped
        return group * (self.group_inputs // self.run)

    @property
    def has_boundaries(self) -> bool:
        """Tell whether groups of several blocks end inside of one."""
        return self.lanes < self.group_outputs and self.group_outputs % self.lanes != 0

    def at_boundaries(self) -> Walk:
        """Return how block k, where group k ends, walks over the group that begins there."""
        return replace(self, group_outputs=self.lanes, skipped=1)


def walk(channels: int, out: int, groups: int, lanes: int) -> Walk:
    """Return how blocks of ``lanes`` outputs walk over ``channels`` inputs in ``groups`` groups.

    Where channels fill no whole blocks, only the real ones are walked, in the longest runs that
    divide them; where those would be very short, padding is cheaper.
    """
    each, group_out = channels // groups, out // groups
    run = each if each < lanes and groups == 1 else math.gcd(each, lanes)
    if groups == 1:
        padded = -(-each // lanes) * lanes
        if run < 4 and each > lanes:
            run, each = lanes, padded
        return Walk(lanes=lanes, run=run, runs=each // run, group_inputs=each, group_outputs=out)
    first = Walk(lanes=lanes, run=run, runs=each // run, group_inputs=each, group_outputs=group_out)
    if first.has_boundaries:
        return first
    spanned = max(
        min(block * lanes + lanes - 1, out - 1) // group_out - block * lanes // group_out + 1
        for block in range(-(-out // lanes))
    )
    return replace(first, runs=spanned * first.runs)


def pack_weights(weights: npt.NDArray[Any], each: Walk) -> npt.NDArray[Any]:
    """Pack [O, I/groups, kh, kw] as [O/lanes, runs, kh, kw, run, lanes]; the rest is zero."""
    out, inputs, kh, kw = weights.shape
    lanes, depth = each.lanes, each.runs * each.run
    blocks = -(-out // lanes)
    full = np.zeros((blocks, depth, kh, kw, lanes), weights.dtype)
    for block in range(blocks):
        start, stop = block * lanes, min(block * lanes + lanes, out)
        while start < stop:
            group = start // each.group_outputs
            end = min(stop, (group + 1) * each.group_outputs)
            skipped = group * each.group_inputs - each.first(block) * each.run
            if skipped == depth:
                break  # what lies behind a boundary
            part = full[block, skipped : skipped + inputs, ..., start % lanes :]
            part[..., : end - start] = weights[start:end].transpose(1, 2, 3, 0)
            start = end
    return _in_runs(full, each)


def pack_boundaries(weights: npt.NDArray[Any], each: Walk) -> npt.NDArray[Any]:
    """Pack what ``pack_weights`` left out: [groups - 1, runs, kh, kw, run, lanes].

    A group that begins with a block has nothing left out.
    """
    out, inputs, kh, kw = weights.shape
    starts = range(each.group_outputs, out, each.group_outputs)
    full = np.zeros((len(starts), inputs, kh, kw, each.lanes), weights.dtype)
    for boundary, start in enumerate(starts):
        lane = start % each.lanes
        if lane:
            part = weights[start : start + each.lanes - lane]
            full[boundary, ..., lane : lane + len(part)] = part.transpose(1, 2, 3, 0)
    return _in_runs(full, each)


def _in_runs(full: npt.NDArray[Any], each: Walk) -> npt.NDArray[Any]:
    blocks, _, kh, kw, lanes = full.shape
    runs = full.reshape(blocks, each.runs, each.run, kh, kw, lanes)
    return np.ascontiguousarray(runs.transpose(0, 1, 3, 4, 2, 5))
