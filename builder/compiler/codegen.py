"""Scheduled TIR -> one relocatable object of kernels, by TVM's LLVM backend."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import tvm
from tvm import tirx

from builder.errors import UsageError
from builder.model.target import Cpu, Platform

_TRIPLES = {
    ("x86_64", "glibc"): "x86_64-linux-gnu",
    ("x86_64", "musl"): "x86_64-linux-musl",
    ("aarch64", "glibc"): "aarch64-linux-gnu",
    ("aarch64", "musl"): "aarch64-linux-musl",
    ("armv7", "glibc"): "armv7l-linux-gnueabihf",
    ("armv7", "musl"): "armv7l-linux-musleabihf",
}

# Lets schedules mark loops whose last round is partial: the whole rounds lose their conditions.
_CONFIG = {"s_tir.LoopPartition": {"partition_const_loop": True}}


def llvm_target(platform: Platform, cpu: Cpu) -> tvm.target.Target:
    """Return TVM's name for the board. Raises ``UsageError`` for a CPU that LLVM does not know."""
    description: dict[str, Any] = {
        "kind": "llvm",
        "mtriple": _TRIPLES[platform.arch, platform.libc.family],
        "mcpu": cpu.mcpu,
        "num-cores": cpu.cores,
    }
    if cpu.mattr:
        description["mattr"] = list(cpu.mattr)
    if platform.arch == "armv7":
        # The triple alone leaves LLVM at soft-float calls: the program runs and its numbers are
        # wrong.
        description["mfloat-abi"] = "hard"
    target = tvm.target.Target(description)
    known = [str(name) for name in tvm.target.codegen.llvm_get_cpu_archlist(target)]
    if cpu.mcpu not in known:  # LLVM itself would go on with a generic CPU and only log it
        raise UsageError(
            f"LLVM knows no CPU {cpu.mcpu!r} of {platform.arch}",
            reason="unknown-mcpu",
            remedy="did you mean: " + ", ".join(get_close_matches(cpu.mcpu, known, 5, 0.3)),
        )
    return target


def write_kernels(
    mod: tvm.IRModule, used: Iterable[str], target: tvm.target.Target, path: Path
) -> None:
    """Compile the PrimFuncs named in ``used`` to the object file ``path``."""
    kernels = {name: mod[name].with_attr("global_symbol", name) for name in sorted(set(used))}
    for name, kernel in kernels.items():
        assert isinstance(kernel, tirx.PrimFunc), name
    with tvm.transform.PassContext(config=_CONFIG):
        tvm.tirx.build(tvm.IRModule(kernels), target=target).write_to_file(str(path), "o")
