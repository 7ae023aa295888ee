"""Cycles of a loop on a core that issues two instructions at a time, in order.

llvm-mca has no such model for 32-bit Arm, and for the Cortex-A53 it lets no result overtake an
older one: a load behind a multiply-add then waits for all ten cycles of it, which no such core
does. Here an instruction waits for its operands and for its unit, and for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ci.benchmarks.hot_loops import is_fma, registers

_WIDTH = 2
_TURNS = 40
_LOAD = re.compile(r"ldu?[rp]|ld1|vld|ldm")
_STORE = re.compile(r"stu?[rp]|st1|vst|stm")
_BRANCH = re.compile(r"b(?:\.?(?:eq|ne|lt|gt|le|ge|lo|hi|ls|hs|mi|pl))?\s|cbn?z|tbn?z")
_COMPARES = re.compile(r"cmp|cmn|tst")
_SETS_FLAGS = re.compile(r"cmp|cmn|tst|subs|adds|ands")
_MEMORY = re.compile(r"\[([^\]]*)\](!?)(,?)(.*)")
_PAIR = re.compile(r"\{\s*d\d+(?:\[\])?,\s*d\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """An in-order core: cycles a unit is busy with 128 bits, and cycles until a result is there."""

    fma_busy: int
    fma_latency: int
    load_busy: int
    load_latency: int
    vector_latency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instruction:
    unit: str
    reads: frozenset[str]
    writes: frozenset[str]
    busy: int = 0
    latency: int = 1
    steps: frozenset[str] = frozenset()  # addresses that it moves on, there in the next cycle


def cycles(body: Iterable[str], core: Pipeline) -> float:
    """Return the cycles of one turn of a loop, once it runs steadily."""
    loop = [_decode(line, core) for line in body]
    ready: dict[str, int] = {}
    free: dict[str, int] = {}
    now, issued, halfway = 0, 0, 0
    for turn in range(_TURNS):
        halfway = now if turn == _TURNS // 2 else halfway
        for one in loop:
            start = max([now, free.get(one.unit, 0), *(ready.get(name, 0) for name in one.reads)])
            start += start == now and issued == _WIDTH
            issued = 1 if start > now else issued + 1
            now = start
            free[one.unit] = now + one.busy
            ready.update(dict.fromkeys(one.writes, now + one.latency))
            ready.update(dict.fromkeys(one.steps, now + 1))
    return (now - halfway) / (_TURNS - _TURNS // 2)


def _decode(line: str, core: Pipeline) -> _Instruction:
    _, _, operands = line.partition("\t")
    if _LOAD.match(line):
        return _load(operands, core)
    names = registers(operands)
    if _STORE.match(line):
        return _Instruction(unit="load", reads=frozenset(names), writes=frozenset(), busy=1)
    if _BRANCH.match(line):
        return _Instruction(unit="branch", reads=frozenset({"flags"}), writes=frozenset())
    flags = ["flags"] if _SETS_FLAGS.match(line) else []
    first = [] if _COMPARES.match(line) else names[:1]
    reads, writes = frozenset(names), frozenset(flags + first)
    if is_fma(line):
        busy = core.fma_busy if _is_whole(operands) else max(1, core.fma_busy // 2)
        return _Instruction(
            unit="vector", reads=reads, writes=writes, busy=busy, latency=core.fma_latency
        )
    if first and first[0].startswith("v"):
        return _Instruction(
            unit="vector",
            reads=frozenset(names[1:]),
            writes=writes,
            busy=1,
            latency=core.vector_latency,
        )
    return _Instruction(unit="integer", reads=frozenset(names[1:]), writes=writes)


def _load(operands: str, core: Pipeline) -> _Instruction:
    found = _MEMORY.search(operands)
    if found is None:  # vldmia r0, {d4, d5}
        base, _, rest = operands.partition(",")
        address, loaded, moves = registers(base), registers(rest), False
    else:
        address = registers(found[1]) + registers(found[4])
        loaded = registers(operands[: found.start()])
        moves = bool(found[2] or found[3])
    whole = len(set(loaded)) if _is_whole(operands) else 1
    return _Instruction(
        unit="load",
        reads=frozenset(address),
        writes=frozenset(loaded),
        busy=core.load_busy * whole,
        latency=core.load_latency,
        steps=frozenset(address[:1] if moves else ()),
    )


def _is_whole(operands: str) -> bool:
    """Tell whether an instruction is of 128 bits: a q register, .4s, a pair of d registers."""
    return operands.startswith("q") or "4s" in operands or _PAIR.match(operands) is not None
