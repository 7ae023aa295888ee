"""Which input channels a block of outputs sums over, and the weights packed to match.

Channels are walked in runs: neighbours inside one block, the same number each time. A block of
outputs that spans several groups sums over the channels of all of them, with zeros where an output
does not look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """``runs`` runs of ``run`` channels for every block of ``lanes`` outputs.

    Groups are ``group_inputs`` and ``group_outputs`` channels wide; ``run`` divides the first.
    """

    lanes: int
    run: int
    runs: int
    group_inputs: int
    group_outputs: int

    def first(self, block: Any) -> Any:
        """Return the number of the first run of a block of outputs: an integer or an expression."""
        return block * self.lanes // self.group_outputs * (self.group_inputs // self.run)


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
    spanned = max(
        min(block * lanes + lanes - 1, out - 1) // group_out - block * lanes // group_out + 1
        for block in range(-(-out // lanes))
    )
    return Walk(
        lanes=lanes,
        run=run,
        runs=spanned * each // run,
        group_inputs=each,
        group_outputs=group_out,
    )


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
            part = full[block, skipped : skipped + inputs, ..., start % lanes :]
            part[..., : end - start] = weights[start:end].transpose(1, 2, 3, 0)
            start = end
    runs = full.reshape(blocks, each.runs, each.run, kh, kw, lanes)
    return np.ascontiguousarray(runs.transpose(0, 1, 3, 4, 2, 5))
