"""The static cost model: which tiles of outputs to hold in registers, the best first."""

from __future__ import annotations

from collections.abc import Iterator

from builder.compiler.kernels.choice import Tile
from builder.compiler.vector_unit import VectorUnit

LANE_STEPS = 4
"""Steps of a reduction that share one vector of inputs where vectors are multiplied by lanes."""

_SHARES = 16
"""Into how many parts work is dealt at least, so that cores end at about the same time."""


def divisors(number: int) -> list[int]:
    """Return the divisors of ``number``, smallest first."""
    return [d for d in range(1, number + 1) if number % d == 0]


def image_tiles(
    height: int, width: int, channel_blocks: int, registers: int, unit: VectorUnit
) -> list[Tile]:
    """Return tiles (rows, columns, channel blocks) of outputs to sum in registers, best first.

    A channel block fills ``registers`` vector registers.

    Each step of the reduction costs the larger of the multiply-adds, of what their latency allows
    with so few sums in flight, and of the loads: a vector a channel block and a broadcast a column,
    which ``LANE_STEPS`` steps share where the unit multiplies by lanes. In-order cores pay for both
    multiply-adds and loads. A partial tile at the right edge is paid in full once more.
    """

    def cost(tile: Tile) -> tuple[float, float]:
        rows, columns, blocks = tile
        cycles = round(_image_cost(width, rows, columns, blocks * registers, unit), 9)
        return cycles, rows * columns + blocks if unit.by_lane else 0  # inputs need registers

    return sorted(_image_tiles(height, width, channel_blocks, registers, unit), key=cost)


def _image_tiles(
    height: int, width: int, channel_blocks: int, registers: int, unit: VectorUnit
) -> Iterator[Tile]:
    abreast = 4 if unit.lanes == 4 else 2  # vectors of weights a step loads
    for blocks in (b for b in divisors(channel_blocks) if b == 1 or b * registers <= abreast):
        most = _most_points(blocks * registers, unit)
        for columns in range(1, min(width, most) + 1):
            for rows in divisors(height) if columns == width else [1]:
                if rows > 1 and rows * columns > most:
                    break
                yield rows, columns, blocks


def _most_points(vectors: int, unit: VectorUnit) -> int:
    """Return how many points of ``vectors`` sums fit, beside their inputs where those stay."""
    points = unit.accumulators // vectors
    if unit.by_lane:
        points = min(points, (unit.registers - vectors) // (vectors + 1))
    return max(1, points)


def _image_cost(width: int, rows: int, columns: int, vectors: int, unit: VectorUnit) -> float:
    """Return cycles per output vector of one reduction step, edges included."""
    whole, rest = divmod(width, columns)
    cycles = whole * _step(rows * columns, vectors, unit)
    if rest:
        cycles += _step(rows * rest, vectors, unit) + 1.0
    return cycles / (width * rows * vectors)


def _step(points: int, vectors: int, unit: VectorUnit) -> float:
    core = unit.core
    inputs = points / LANE_STEPS if unit.by_lane else points
    sums, loads = points * vectors / core.fmas, (inputs + vectors) / core.loads
    work = sums + loads if core.in_order else max(sums, loads)
    return max(work, core.latency) + 0.5


def share(rows: int, images: int) -> int:
    """Return how many of the rows of tiles of an image a core takes at once."""
    return max(d for d in divisors(rows) if d == 1 or images * rows // d >= _SHARES)


def whole_row_tile(rows: int, limit: int) -> int | None:
    """Return the largest tile up to ``limit`` that divides ``rows``, if one is worth its loads."""
    tile = max(d for d in divisors(rows) if d <= limit)
    return tile if tile >= min(4, limit) else None


def row_tiles(rows: int, limit: int) -> list[Tile]:
    """Return (rows of a product to sum at once,), best first: near ``limit``, a cheap rest."""

    def cost(tile: Tile) -> float:
        whole, rest = divmod(rows, tile[0])
        return whole * (tile[0] + 1.0) + (max(rest, 3) + 2.0 if rest else 0.0)

    return sorted(((tile,) for tile in range(1, min(rows, limit) + 1)), key=cost)
