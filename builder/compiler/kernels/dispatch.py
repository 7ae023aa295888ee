"""Which schedule a kernel gets."""

from __future__ import annotations

from collections.abc import Callable

import tvm
from tvm import s_tir, tirx

from builder.compiler.kernels import (
    conv,
    depthwise,
    layernorm,
    loops,
    matmul,
    plain,
    softmax,
    winograd,
)
from builder.compiler.vector_unit import VectorUnit
from builder.ports import Log

Schedule = Callable[[s_tir.Schedule, VectorUnit, bool], None]

_FAMILIES: tuple[tuple[str, Schedule], ...] = (
    (conv.ANCHOR, conv.schedule),
    (depthwise.ANCHOR, depthwise.schedule),
    (matmul.ANCHOR, matmul.schedule),
    (winograd.ANCHOR_IN, winograd.schedule_in),
    (winograd.ANCHOR_OUT, winograd.schedule_out),
    (softmax.ANCHOR, softmax.schedule),
    (layernorm.ANCHOR, layernorm.schedule),
)


def schedule_all(
    mod: tvm.IRModule, unit: VectorUnit, worth_splitting: Callable[[tirx.PrimFunc], bool], log: Log
) -> tvm.IRModule:
    """Schedule every PrimFunc of ``mod``; those ``worth_splitting`` also over cores."""
    scheduled = {}
    for variable, function in mod.functions.items():
        if isinstance(function, tirx.PrimFunc):
            parallel = worth_splitting(function)
            scheduled[variable] = _scheduled(function, unit, parallel, variable.name_hint, log)
    mod = mod.clone()
    for variable, function in scheduled.items():
        mod.update_func(variable, function)
    return mod


def family(schedule: s_tir.Schedule) -> Schedule:
    """Return the schedule of the family whose anchor block the kernel holds."""
    names = {loops.name(schedule, block) for block in loops.blocks(schedule)}
    return next((how for anchor, how in _FAMILIES if anchor in names), plain.schedule)


def _scheduled(
    function: tirx.PrimFunc, unit: VectorUnit, parallel: bool, name: str, log: Log
) -> tirx.PrimFunc:
    attempt = s_tir.Schedule(tvm.IRModule({"main": function}))
    how = family(attempt)
    for choice in (how, plain.schedule):
        try:
            choice(attempt, unit, parallel)
        except (
            Exception
        ) as error:  # TVM raises TVMError, ScheduleError, ValueError and RuntimeError
            log(f"schedule {choice.__module__} does not fit {name}: {str(error).strip()[:300]}")
            attempt = s_tir.Schedule(tvm.IRModule({"main": function}))
            continue
        return attempt.mod["main"]
    return function
