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

# The runtime takes whatever plan the driver points it at for its own.
_CHOSEN = "bw_model_plan=(*bw_chosen_plan)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Where the cases lie (``folder/NUMBER/compiled``) and how programs are made and started."""

    folder: Path
    platform: Platform
    emulator: Emulator | None
    zig: Zig

    def run(self, numbers: Sequence[int]) -> dict[int, str]:
        """Link and run the cases; return ``ok`` or what went wrong, by number."""
        program = self._link(numbers)
        outcome: dict[int, str] = {}
        first = min(numbers, default=0)
        while first <= max(numbers, default=-1):
            said = self._start(program, first, max(numbers))
            outcome.update(said)
            first = max(said, default=max(numbers)) + 1
        return outcome

    def _link(self, numbers: Sequence[int]) -> Path:
        built = self.folder / "program"
        built.mkdir(exist_ok=True)
        listed = json.loads((self._runtime / "sources.json").read_text(encoding="utf-8"))
        table = built / "table.c"
        table.write_text(_table(numbers), encoding="utf-8")
        sources = {
            **{self._runtime / name: (_CHOSEN,) for name in listed["library"]},
            Path(__file__).with_name("driver.c"): (_CHOSEN,),
            table: (),
        }
        self._compile(sources, built)
        plans = {self.folder / f"{n}/compiled/plan.c": _plan_defines(n) for n in numbers}
        self._compile(plans, None)
        objects = [
            *sorted(built.glob("*.o")),
            *(self.folder / f"{number}/compiled/plan.o" for number in numbers),
            *(
                o
                for n in numbers
                for o in sorted((self.folder / f"{n}/compiled/kernels").glob("*.o"))
            ),
        ]
        response = built / "objects.txt"
        response.write_text("\n".join(map(str, objects)), encoding="utf-8")
        program = built / "driver"
        self.zig.run(toolchain.link_runner(self.platform, [Path(f"@{response}")], program))
        return program

    @property
    def _runtime(self) -> Path:
        return templates_root() / "runtime"

    def _compile(self, sources: Mapping[Path, Sequence[str]], into: Path | None) -> None:
        self.zig.run_all(
            [
                toolchain.compile_c(
                    self.platform,
                    source,
                    (into or source.parent) / f"{source.stem}.o",
                    include=self._runtime,
                    defines=defines,
                )
                for source, defines in sources.items()
            ]
        )

    def _start(self, program: Path, first: int, last: int) -> dict[int, str]:
        argv = (*self._emulation(), str(program), str(self.folder), str(first), str(last))
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
            ending, said = f"crashed ({done.returncode})", done.stdout
        except subprocess.TimeoutExpired as expired:
            ending, said = "hung", (expired.stdout or b"").decode()
        return _outcomes(said.splitlines(), ending)

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


def _outcomes(lines: Iterable[str], ending: str) -> dict[int, str]:
    outcome: dict[int, str] = {}
    for line in lines:
        number, _, rest = line.partition(" ")
        outcome[int(number)] = ending if rest == "started" else rest
    return outcome
