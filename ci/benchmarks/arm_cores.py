"""The Arm cores that kernels are judged for: what they can do, who says so, what to reach."""

from __future__ import annotations

from dataclasses import dataclass

from builder.model.target import Arch
from ci.benchmarks.in_order import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """A core: how many 128-bit multiply-adds it starts a cycle, and by what source.

    ``mca`` is the CPU whose model llvm-mca takes; a core with a ``pipeline`` is judged by that, and
    llvm-mca's figure only stands beside it. ``goal`` is the ratio to reach.
    """

    name: str
    arch: Arch
    fmas: float
    source: str
    goal: float
    mca: str | None = None
    pipeline: Pipeline | None = None

    @property
    def title(self) -> str:
        return f"{self.name} ({self.arch})"


# The latencies are LLVM's of an A53. It has none for 32-bit Arm; an A7's are taken to be the same.
_A53 = Pipeline(fma_busy=1, fma_latency=10, load_busy=1, load_latency=4, vector_latency=6)
_A7 = Pipeline(fma_busy=4, fma_latency=10, load_busy=2, load_latency=4, vector_latency=6)

# LLVM's models of these follow Arm's software optimization guides.
_LLVM = "LLVM's model"

CORES = (
    Core(
        name="cortex-a53",
        arch="aarch64",
        fmas=1,
        source=_LLVM,
        goal=0.85,
        mca="cortex-a53",
        pipeline=_A53,
    ),
    Core(name="cortex-a57", arch="aarch64", fmas=1, source=_LLVM, goal=0.95, mca="cortex-a57"),
    Core(name="cortex-a72", arch="aarch64", fmas=1, source=_LLVM, goal=0.95, mca="cortex-a72"),
    # LLVM 19 models an A76 as an A57. The Neoverse N1 is the A76 made for servers.
    Core(
        name="cortex-a76",
        arch="aarch64",
        fmas=2,
        source="LLVM's model of the Neoverse N1",
        goal=0.95,
        mca="neoverse-n1",
    ),
    Core(
        name="cortex-a7",
        arch="armv7",
        fmas=0.25,
        source="published measurements: one lane a cycle",
        goal=0.85,
        pipeline=_A7,
    ),
    Core(name="cortex-a53", arch="armv7", fmas=1, source=_LLVM, goal=0.85, pipeline=_A53),
)
