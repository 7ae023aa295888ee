"""From a question about a model to the steps that answer it: no targets, no bundles."""

from __future__ import annotations

from collections.abc import Collection

from builder.model.machine import Machine
from builder.model.source import Source
from builder.model.target import Cpu, CpuVariant, Target
from builder.model.tuning import TunedTile, cpu_label
from builder.planning.bundles import assembly, with_needs
from builder.planning.planned import BuildRequest, PlannedStep, ToolchainOf, planned, prepare
from builder.steps import Bisect, Inspect, Shortlist, Tune


def plan_inspection(
    request: BuildRequest, source: Source, toolchain_of: ToolchainOf
) -> tuple[PlannedStep, ...]:
    """Return the steps that tell whether ``source`` can be built; a build shares the first."""
    prepared = prepare(request, source, toolchain_of)
    inspected = Inspect(toolchain=prepared.toolchain, prepared=prepared)
    return tuple(planned(step, request.payload) for step in (prepared, inspected))


def plan_bisection(
    request: BuildRequest, source: Source, dump: Source, toolchain_of: ToolchainOf
) -> tuple[PlannedStep, ...]:
    """Return the steps that find the node where ``dump`` goes wrong; a build shares the first."""
    prepared = prepare(request, source, toolchain_of)
    bisected = Bisect(toolchain=prepared.toolchain, prepared=prepared, dump=dump)
    return tuple(planned(step, request.payload) for step in (prepared, bisected))


def plan_tuning(
    request: BuildRequest,
    source: Source,
    target: Target,
    toolchain_of: ToolchainOf,
    *,
    budget_s: float,
    again: bool,
) -> tuple[PlannedStep, ...]:
    """Return the steps that measure tiles for ``target`` here; a build shares the first.

    Kernels that ``request.records`` know are left out, unless ``again``. The target must be
    ``tunable_here``.
    """
    prepared = prepare(request, source, toolchain_of)
    cpu = best_set(target, request.machine.features)
    known = {record.kernel for record in request.records if record.cpu == cpu_label(cpu)}
    tuned = Tune(
        toolchain=toolchain_of(target),
        prepared=prepared,
        platform=target.platform,
        cpu=target.cpu,
        mcpu=cpu.mcpu,
        budget_s=budget_s,
        known=() if again else tuple(sorted(known)),
    )
    return tuple(planned(step, request.payload) for step in (prepared, tuned))


def plan_shortlist(
    request: BuildRequest, source: Source, target: Target, mcpu: str, toolchain_of: ToolchainOf
) -> tuple[PlannedStep, ...]:
    """Return the steps that say which tiles of the kernels for ``mcpu`` are worth measuring."""
    prepared = prepare(request, source, toolchain_of)
    listed = Shortlist(
        toolchain=toolchain_of(target),
        prepared=prepared,
        platform=target.platform,
        cpu=target.cpu,
        mcpu=mcpu,
    )
    return tuple(planned(step, request.payload) for step in (prepared, listed))


def plan_trial(
    request: BuildRequest,
    source: Source,
    target: Target,
    tiles: tuple[TunedTile, ...],
    toolchain_of: ToolchainOf,
) -> tuple[PlannedStep, ...]:
    """Return the steps that make a bundle whose kernels take ``tiles``, the usual ones elsewhere.

    It is not verified here: a board checks what is brought there.
    """
    prepared = prepare(request, source, toolchain_of)
    made = assembly(request, target, prepared, toolchain_of(target), tiles)
    return tuple(planned(step, request.payload) for step in with_needs(made))


def tunable_here(target: Target, machine: Machine) -> bool:
    """Tell whether this machine runs the target's code itself."""
    same = machine.arch == target.platform.arch and not target.packs
    return same and machine.features.issuperset(target.cpu.features)


def best_set(target: Target, features: Collection[str]) -> Cpu | CpuVariant:
    """Return the kernels that a bundle chooses at load on a machine with these CPU features.

    It has at least those that the target needs.
    """
    return [each for each in target.cpu.sets if set(features).issuperset(each.features)][-1]
