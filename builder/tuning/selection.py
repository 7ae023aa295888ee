"""Which records a build goes by: those of its CPUs and its compiler, the nearest folder's first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from builder.model.target import Cpu
from builder.model.tuning import TunedTile, TuningRecord, cpu_label


def compiler_name(versions: Mapping[str, str]) -> str:
    """Return what wrote the code, of ``versions`` by distribution: schedules are Boardwright's."""
    return f"boardwright {versions['boardwright']}, tvm {versions['apache-tvm']}"


def known(folders: Sequence[Iterable[TuningRecord]], compiler: str) -> tuple[TuningRecord, ...]:
    """Return one record for each kernel and CPU, of the first of ``folders`` that has any."""
    found: dict[tuple[str, str], TuningRecord] = {}
    for records in folders:
        of_folder = {(one.kernel, one.cpu): one for one in records if one.compiler == compiler}
        found = {**of_folder, **found}
    return tuple(found.values())


def tuned_tiles(records: Iterable[TuningRecord], cpu: Cpu) -> tuple[TunedTile, ...]:
    """Return what the records change of the code for a CPU and its variants, in a fixed order.

    Where the usual tile is the fastest there is nothing to change.
    """
    labels = {cpu_label(each) for each in cpu.sets}
    chosen = [one for one in records if one.cpu in labels and one.tile != one.usual]
    tiles = [TunedTile(kernel=one.kernel, cpu=one.cpu, tile=one.tile) for one in chosen]
    return tuple(sorted(tiles, key=lambda one: (one.cpu, one.kernel)))
