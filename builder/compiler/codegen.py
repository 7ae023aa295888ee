"""Kernels -> relocatable objects, by TVM's LLVM backend."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import tvm
from tvm import tirx

from builder.compiler import stack
from builder.compiler.blame import last_words
from builder.errors import UsageError
from builder.model.target import Cpu, CpuVariant, Platform

PARTS = 2
"""Into how many objects the kernels of one CPU are dealt."""

_TRIPLES = {
    ("x86_64", "glibc"): "x86_64-linux-gnu",
    ("x86_64", "musl"): "x86_64-linux-musl",
    ("aarch64", "glibc"): "aarch64-linux-gnu",
    ("aarch64", "musl"): "aarch64-linux-musl",
    ("armv7", "glibc"): "armv7l-linux-gnueabihf",
    ("armv7", "musl"): "armv7l-linux-musleabihf",
    ("x86_64", "bionic"): "x86_64-linux-android",
    ("aarch64", "bionic"): "aarch64-linux-android",
    ("armv7", "bionic"): "armv7a-linux-androideabi",
}

# LLVM 22 vectorises some loops wrongly across a branch: a remainder in an address under a condition
# then reads its neighbour's element (tests/unit/compiler/test_kernels.py has such a loop).
_OPTIONS = ("-enable-if-conversion:bool=0",)

# LLVM would move loads from neighbouring addresses together, so far from their use that sums are
# driven out of registers. Those that stay side by side it pairs later on.
_OPTIONS_OF_ARM = (*_OPTIONS, "-misched-cluster:bool=0")

# What LLVM holds against multiply-adds on a Cortex-A7 is true of scalar ones: it would multiply and
# add apart. Of its schedulers, that of machine code minds registers.
_ATTRIBUTES_OF_ARMV7 = ("+use-misched", "-slowfpvfmx", "-slowfpvmlx", "-vmlx-hazards")

_CONFIG = {
    # Lets schedules mark loops whose last round is partial: the whole rounds lose their conditions.
    "s_tir.LoopPartition": {"partition_const_loop": True},
    # A kernel would check each argument's shape and strides on every call: more code than most
    # kernels have. The plan that calls them is static.
    "tirx.disable_assert": True,
}


def llvm_target(platform: Platform, cpu: Cpu | CpuVariant) -> tvm.target.Target:
    """Return TVM's name for a CPU. Raises ``UsageError`` for one that LLVM does not know."""
    description: dict[str, Any] = {
        "kind": "llvm",
        "mtriple": _triple(platform),
        "mcpu": cpu.mcpu,
        "cl-opt": list(_OPTIONS if platform.arch == "x86_64" else _OPTIONS_OF_ARM),
    }
    if cpu.mattr:
        description["mattr"] = list(cpu.mattr)
    if platform.arch == "armv7":
        description["mattr"] = [*cpu.mattr, *_ATTRIBUTES_OF_ARMV7]
        # The triple alone leaves LLVM at soft-float calls: on Linux the program would run and its
        # numbers be wrong. Android's ABI is just that: VFP code, floats in integer registers.
        description["mfloat-abi"] = "soft" if platform.libc.family == "bionic" else "hard"
    target = tvm.target.Target(description)
    known = [str(name) for name in tvm.target.codegen.llvm_get_cpu_archlist(target)]
    if cpu.mcpu not in known:  # LLVM itself would go on with a generic CPU and only log it
        raise UsageError(
            f"LLVM knows no CPU {cpu.mcpu!r} of {platform.arch}",
            reason="unknown-mcpu",
            remedy="did you mean: " + ", ".join(get_close_matches(cpu.mcpu, known, 5, 0.3)),
        )
    if platform.arch == "armv7" and not _has_neon(description):
        raise UsageError(
            f"{cpu.mcpu} has no NEON",
            reason="unknown-mcpu",
            remedy="name an Armv7-A core (cortex-a7, cortex-a8, …): none older is supported",
        )
    return target


def _has_neon(description: dict[str, Any]) -> bool:
    """Tell whether LLVM's own idea of a CPU includes NEON, whatever a target adds to it."""
    alone = {key: value for key, value in description.items() if key != "mattr"}
    has = tvm.target.codegen.target_has_features("neon", tvm.target.Target(alone))
    return bool(has)


def _triple(platform: Platform) -> str:
    name = _TRIPLES[platform.arch, platform.libc.family]
    return f"{name}{platform.libc.api}" if platform.libc.api else name


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelObject:
    """Kernels of one module to be scheduled and compiled for one CPU into one object file."""

    mod: tvm.IRModule
    names: tuple[str, ...]
    schedule: Callable[[tvm.IRModule], tvm.IRModule]
    target: tvm.target.Target
    prefix: str  # starts the symbols, so that the kernels of several CPUs can stand side by side
    path: Path

    def write(self) -> None:
        """Schedule and compile the kernels, and write the object."""
        scheduled = self.schedule(tvm.IRModule({name: self.mod[name] for name in self.names}))
        kernels = {
            self.prefix + name: scheduled[name].with_attr("global_symbol", self.prefix + name)
            for name in self.names
        }
        library = generate(kernels, self.target)
        library.write_to_file(str(self.path), "o")


class KernelFailed(Exception):
    """A kernel could not be scheduled or compiled; ``kernel`` is None where each alone can be."""

    def __init__(self, kernel: str | None, why: str) -> None:
        super().__init__(why)
        self.kernel = kernel
        self.why = why


def generate(kernels: dict[str, tirx.PrimFunc], target: tvm.target.Target) -> Any:
    """Return TVM's module of the machine code of scheduled kernels, by the names they shall have.

    Each must bear its name as ``global_symbol``.
    """
    stack.register()
    with tvm.transform.PassContext(config=_CONFIG):
        return tirx.build(tvm.IRModule(kernels), target=target, pipeline=stack.PIPELINE)


def parts(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Deal kernel names into the parts that are compiled side by side.

    Their number is fixed: a bundle must not depend on how many cores it was built on.
    """
    ordered = sorted(set(names))
    dealt = (tuple(ordered[start::PARTS]) for start in range(PARTS))
    return [part for part in dealt if part]


def write_objects(objects: Sequence[KernelObject]) -> None:
    """Write the objects side by side: TVM and LLVM work on one core.

    Raises ``KernelFailed``; all that was said is on standard error.
    """
    for one, end in zip(objects, _ends([one.write for one in objects]), strict=True):
        if end is not None:
            raise _culprit(one, end)


def _culprit(failed: KernelObject, why: str) -> KernelFailed:
    """Compile the kernels of an object one by one, to see which fails: LLVM may just die."""
    for name in failed.names:
        (end,) = _ends([replace(failed, names=(name,)).write])
        if end is not None:
            return KernelFailed(name, end)
    return KernelFailed(None, why)


def _ends(tasks: Sequence[Callable[[], None]]) -> list[str | None]:
    """Perform tasks in processes forked from this one; return what each failed of, or None."""
    fork = multiprocessing.get_context("fork")
    running = []
    for task in tasks:
        hearing, saying = fork.Pipe(duplex=False)
        process = fork.Process(target=_perform, args=(task, saying))
        process.start()
        saying.close()
        running.append((process, hearing))
    for process, _ in running:
        process.join()
    return [
        _said(hearing, process.exitcode) if process.exitcode else None
        for process, hearing in running
    ]


def _perform(task: Callable[[], None], saying: Connection) -> None:
    try:
        task()
    except Exception as error:  # TVM raises what it likes
        saying.send(last_words(error))
        raise


def _said(hearing: Connection, exit_code: int) -> str:
    try:
        return str(hearing.recv())
    except EOFError:
        return f"its process ended with {exit_code}"
