"""Many compiled cases in one program: one link, one process, each plan through the C interface."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.model.target import Emulator, Platform
from builder.package_files import templates_root
from builder.payload.tools import Zig, find_program
from builder.toolchain import zig as toolchain

Run = tuple[int, str]
"""A case's number and the name of a set of inputs for it."""

# The runtime takes whatever plan the driver points it at for its own.
_CHOSEN = "bw_model_plan=(*bw_chosen_plan)"
_GUARDS = ("guarded_kernels.c", "guarded_memory.c", "guarded_workspace.c")
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Where the cases lie (``folder/NUMBER/compiled``) and how programs are made and started.

    ``guarded`` has every kernel call work between guard pages; ``limit_s`` is of CPU, for one run.
    """

    folder: Path
    platform: Platform
    emulator: Emulator | None
    zig: Zig
    guarded: bool = False
    limit_s: int = 120

    def run(self, runs: Sequence[Run]) -> dict[Run, str]:
        """Link the cases and run them; return ``ok`` or what went wrong, by run.

        Reads ``folder/NUMBER/SET/in*.bin`` and writes ``out*.bin`` beside them.
        """
        program = self._link(sorted({number for number, _ in runs}))
        outcome: dict[Run, str] = {}
        left = list(runs)
        while left:
            said = self._start(program, left)
            outcome.update(said)
            left = left[max(1, len(said)) :]
        return outcome

    def _link(self, numbers: Sequence[int]) -> Path:
        built = self.folder / ("guarded" if self.guarded else "program")
        built.mkdir(exist_ok=True)
        table = built / "table.c"
        table.write_text(_table(numbers), encoding="utf-8")
        self._compile({**self._sources(), table: ()}, built)
        plans = {self.folder / f"{n}/compiled/plan.c": _plan_defines(n) for n in numbers}
        self._compile({p: d for p, d in plans.items() if not p.with_suffix(".o").exists()}, None)
        objects = [
            *sorted(built.glob("*.o")),
            *(plan.with_suffix(".o") for plan in plans),
            *(o for plan in plans for o in sorted((plan.parent / "kernels").glob("*.o"))),
        ]
        response = built / "objects.txt"
        response.write_text("\n".join(map(str, objects)), encoding="utf-8")
        program = built / "driver"
        self.zig.run(toolchain.link_runner(self.platform, [Path(f"@{response}")], program))
        return program

    def _sources(self) -> dict[Path, Sequence[str]]:
        """Return the library's and the driver's files and what each is compiled with."""
        runtime = templates_root() / "runtime"
        listed = json.loads((runtime / "sources.json").read_text(encoding="utf-8"))["library"]
        replaced = {"workspace.c"} if self.guarded else set()
        guards = (_HERE / name for name in _GUARDS if self.guarded)
        return {
            **{runtime / name: (_CHOSEN,) for name in listed if name not in replaced},
            **dict.fromkeys(guards, (_CHOSEN,)),
            _HERE / "driver.c": (_CHOSEN, *(("GUARDED",) if self.guarded else ())),
        }

    def _compile(self, sources: Mapping[Path, Sequence[str]], into: Path | None) -> None:
        self.zig.run_all(
            [
                toolchain.compile_c(
                    self.platform,
                    source,
                    (into or source.parent) / f"{source.stem}.o",
                    include=templates_root() / "runtime",
                    defines=defines,
                )
                for source, defines in sources.items()
            ]
        )

    def _start(self, program: Path, runs: Sequence[Run]) -> dict[Run, str]:
        """Run until all are done or the program ends."""
        done = subprocess.run(
            (*self._emulation(), str(program), str(self.folder), str(self.limit_s)),
            input="".join(f"{number} {name}\n" for number, name in runs),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return outcomes(done.stdout.splitlines(), f"crashed ({done.returncode})")

    def _emulation(self) -> tuple[str, ...]:
        if self.emulator is None:
            return ()
        program = find_program(self.emulator.qemu)
        if program is None:
            raise SystemExit(f"{self.emulator.qemu} is not installed")
        return (program, "-cpu", self.emulator.cpu, "-L", self.emulator.sysroot)


def _plan_defines(number: int) -> tuple[str, ...]:
    return (f"bw_model_plan=bw_plan_{number}", 'BW_MODEL_NAME="case"', 'BW_TARGET_NAME="here"')


def _table(numbers: Iterable[int]) -> str:
    wanted = sorted(numbers)
    declared = "".join(f"extern const bw_plan bw_plan_{number};\n" for number in wanted)
    entries = "".join(f"  [{number}] = &bw_plan_{number},\n" for number in wanted)
    return (
        f'#include "plan.h"\n{declared}'
        f"const bw_plan *const bw_batch[] = {{\n{entries}}};\n"
        "const size_t bw_batch_size = sizeof bw_batch / sizeof *bw_batch;\n"
    )


def outcomes(lines: Iterable[str], ending: str) -> dict[Run, str]:
    """Return what the driver said of each run; the one that was on when it ended has ``ending``."""
    outcome: dict[Run, str] = {}
    for line in lines:
        number, name, what = line.split(" ", 2)
        outcome[int(number), name] = ending if what == "started" else what
    return outcome
