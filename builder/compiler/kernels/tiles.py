"""The static cost model: which tile of outputs to hold in registers."""

from __future__ import annotations

from builder.compiler.vector_unit import VectorUnit

_LATENCY_CYCLES = 4.0
"""Of a fused multiply-add on every out-of-order core here; two may start a cycle."""


def divisors(number: int) -> list[int]:
    """Return the divisors of ``number``, smallest first."""
    return [d for d in range(1, number + 1) if number % d == 0]


def image_tile(
    height: int, width: int, channel_blocks: int, registers: int, unit: VectorUnit
) -> tuple[int, int, int]:
    """Return (rows, columns, channel blocks) of the outputs one tile sums in registers.

    A channel block fills ``registers`` vector registers.

    Each step of the reduction costs the larger of the multiply-adds (two a cycle), of what their
    latency allows with so few sums in flight, and of the loads (two a cycle: one broadcast a
    column, one vector a channel block). A partial tile at the right edge is paid in full once more.
    """
    best: tuple[float, tuple[int, int, int]] | None = None
    abreast = 4 if unit.lanes == 4 else 2  # vectors of weights a step loads
    for blocks in (b for b in divisors(channel_blocks) if b == 1 or b * registers <= abreast):
        for columns in range(1, max(1, min(width, unit.accumulators // (blocks * registers))) + 1):
            rows_to_try = divisors(height) if columns == width else [1]
            for rows in rows_to_try:
                if rows > 1 and rows * columns * blocks * registers > unit.accumulators:
                    break
                cost = _image_cost(width, rows, columns, blocks * registers)
                if best is None or cost < best[0] - 1e-9:
                    best = (cost, (rows, columns, blocks))
    assert best is not None
    return best[1]


def _image_cost(width: int, rows: int, columns: int, vectors: int) -> float:
    """Return cycles per output vector of one reduction step, edges included."""
    whole, rest = divmod(width, columns)
    cycles = whole * _step(rows * columns, vectors)
    if rest:
        cycles += _step(rows * rest, vectors) + 1.0
    return cycles / (width * rows * vectors)


def _step(points: int, vectors: int) -> float:
    sums = points * vectors / 2.0
    loads = (points + vectors) / 2.0
    return max(sums, loads, _LATENCY_CYCLES) + 0.5


def whole_row_tile(rows: int, limit: int) -> int | None:
    """Return the largest tile up to ``limit`` that divides ``rows``, if one is worth its loads."""
    tile = max(d for d in divisors(rows) if d <= limit)
    return tile if tile >= min(4, limit) else None


def row_tile(rows: int, limit: int) -> int:
    """Return how many rows of a product to sum at once: near ``limit``, with a cheap rest."""

    def cost(tile: int) -> float:
        whole, rest = divmod(rows, tile)
        return whole * (tile + 1.0) + (max(rest, 3) + 2.0 if rest else 0.0)

    return min(range(1, min(rows, limit) + 1), key=cost)
