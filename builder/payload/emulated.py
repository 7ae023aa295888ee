"""A bundle's own program, run as a board would run it: natively or under qemu."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from builder.errors import BuildFailed, IntegrityError, UsageError
from builder.payload.tools import find_program, run_program
from builder.ports import Log
from builder.steps import Verify

TIMEOUT_S = 900.0
"""An emulated board is some 20 times slower than a real one; a hang must still end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """``bin/run`` of a bundle; ``prefix`` is what runs it here."""

    prefix: tuple[str, ...]
    bundle: Path
    log: Log

    def check(self, computed: Path) -> bool:
        """Run the self-check, keeping its outputs; return its verdict."""
        computed.mkdir()
        done = self._run("--check", "--json", "--outputs", str(computed))
        return self._said(done, 0, 1) == 0

    def infer(self, inputs: Path, computed: Path) -> None:
        """Run once on a folder of inputs, keeping the outputs."""
        computed.mkdir()
        self._said(self._run("--inputs", str(inputs), "--outputs", str(computed)), 0)

    def dump(self, inputs: Path, dump: Path) -> None:
        """Run once on a folder of inputs, keeping what every kernel computes."""
        self._said(self._run("--dump", str(dump), "--inputs", str(inputs)), 0)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = (*self.prefix, str(self.bundle / "bin" / "run"), *arguments)
        try:
            return run_program(argv, timeout_s=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise BuildFailed(
                f"the bundle did not finish its check in {TIMEOUT_S:.0f} s", reason="check-hangs"
            ) from None

    def _said(self, done: subprocess.CompletedProcess[str], *expected: int) -> int:
        for line in done.stderr.splitlines():
            self.log(line)
        if "unable to find CPU model" in done.stderr:
            raise _unknown_cpu(self.prefix, done.stderr)
        # Emulators and loaders end with 1 as well where nothing could be run: then no JSON is said.
        if done.returncode in expected and (expected == (0,) or done.stdout.lstrip()[:1] == "{"):
            return done.returncode
        raise IntegrityError(
            "the bundle does not run",
            reason="bundle-crashed",
            why=f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}",
        )


def _unknown_cpu(emulation: tuple[str, ...], said: str) -> UsageError:
    program, cpu = emulation[0], emulation[emulation.index("-cpu") + 1]
    listed = run_program((program, "-cpu", "help"), timeout_s=TIMEOUT_S).stdout.split()
    close = get_close_matches(cpu, listed, 5, 0.3)
    return UsageError(
        f"the emulator knows no CPU {cpu!r}",
        reason="unknown-emulator-cpu",
        where=program,
        why=said.strip()[-300:],
        remedy=f"correct emulator.cpu of the target; did you mean: {', '.join(close)}"
        if close
        else f"correct emulator.cpu of the target; see: {program} -cpu help",
    )


def prefix(step: Verify) -> tuple[str, ...]:
    """Return what runs a program of the target here. Raises ``UsageError`` ``cannot-verify``."""
    if step.where == "native":
        return ()
    assert step.emulator is not None
    program = find_program(step.emulator.qemu)
    if program is None:
        raise UsageError(
            f"{step.emulator.qemu} is not installed where the build runs",
            reason="cannot-verify",
            remedy="apt-get install qemu-user-static libc6-arm64-cross libc6-armhf-cross",
        )
    return (program, "-L", step.emulator.sysroot, "-cpu", step.emulator.cpu)
