"""Which schedule a kernel gets, and which tile it takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import tvm
from tvm import s_tir, tirx

from builder.compiler.kernels import (
    attention,
    conv,
    depthwise,
    layernorm,
    local_response,
    loops,
    matmul,
    plain,
    pooling,
    softmax,
    winograd,
    winograd_schedule,
)
from builder.compiler.kernels.choice import FIRST, Choice
from builder.compiler.vector_unit import VectorUnit
from builder.ports import Log

Schedule = Callable[[s_tir.Schedule, VectorUnit, bool, Choice], None]

ChoiceOf = Callable[[tirx.PrimFunc], Choice]
"""Gives what an unscheduled kernel is to choose."""


def first(_function: tirx.PrimFunc) -> Choice:
    """Let a kernel take what the cost model holds best."""
    return FIRST


def _untiled(schedule: Callable[[s_tir.Schedule, VectorUnit, bool], None]) -> Schedule:
    @wraps(schedule)
    def chosen(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool, _choice: Choice) -> None:
        schedule(sch, unit, parallel)

    return chosen


_PLAIN = _untiled(plain.schedule)

_FAMILIES: tuple[tuple[str, Schedule], ...] = (
    (conv.ANCHOR, conv.schedule),
    (depthwise.ANCHOR, depthwise.schedule),
    (pooling.ANCHOR_MAX, pooling.schedule_max),
    (pooling.ANCHOR_SUM, pooling.schedule_average),
    (attention.ANCHOR, _untiled(attention.schedule)),
    (matmul.ANCHOR, matmul.schedule),
    (winograd.ANCHOR, _untiled(winograd_schedule.schedule)),
    (winograd.ANCHOR_IN, _untiled(winograd_schedule.schedule_in)),
    (local_response.ANCHOR, _untiled(local_response.schedule)),
    (softmax.ANCHOR, _untiled(softmax.schedule)),
    (layernorm.ANCHOR, _untiled(layernorm.schedule)),
)


def schedule_all(
    mod: tvm.IRModule,
    unit: VectorUnit,
    worth_splitting: Callable[[tirx.PrimFunc], bool],
    log: Log,
    choice_of: ChoiceOf = first,
) -> tvm.IRModule:
    """Schedule every PrimFunc of ``mod``; those ``worth_splitting`` also over cores."""
    scheduled = {}
    for variable, function in mod.functions.items():
        if isinstance(function, tirx.PrimFunc):
            parallel, choice = worth_splitting(function), choice_of(function)
            name = variable.name_hint
            scheduled[variable] = _scheduled(function, unit, parallel, choice, name, log)
    mod = mod.clone()
    for variable, function in scheduled.items():
        mod.update_func(variable, function)
    return mod


def family(function: tirx.PrimFunc) -> Schedule:
    """Return the schedule of the family whose anchor block the kernel holds."""
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}))
    names = {loops.name(schedule, block) for block in loops.blocks(schedule)}
    return next((how for anchor, how in _FAMILIES if anchor in names), _PLAIN)


def family_name(function: tirx.PrimFunc) -> str:
    """Return what people call the kernel's family."""
    return family(function).__module__.rpartition(".")[2]


def apply(
    how: Schedule, function: tirx.PrimFunc, unit: VectorUnit, parallel: bool, choice: Choice
) -> tirx.PrimFunc:
    """Return the kernel as ``how`` schedules it. Raises what TVM does where it does not fit."""
    attempt = s_tir.Schedule(tvm.IRModule({"main": function}))
    how(attempt, unit, parallel, choice)
    return attempt.mod["main"]


def _scheduled(
    function: tirx.PrimFunc,
    unit: VectorUnit,
    parallel: bool,
    choice: Choice,
    name: str,
    log: Log,
) -> tirx.PrimFunc:
    how = family(function)
    tries = [(how, FIRST), (_PLAIN, FIRST)]
    if choice is not FIRST:
        tries.insert(0, (how, choice))
    for schedule, pick in tries:
        try:
            return apply(schedule, function, unit, parallel, pick)
        except (
            Exception
        ) as error:  # TVM raises TVMError, ScheduleError, ValueError and RuntimeError
            where = schedule.__module__
            log(f"schedule {where} does not fit {name}: {str(error).strip()[:300]}")
    return function
