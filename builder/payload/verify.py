"""Verify: run the bundle as a board would and compare with ONNX Runtime's outputs."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from builder.compiler.signature import read_signature
from builder.errors import BuildFailed, IntegrityError, UsageError
from builder.model.artifact import Caution, OutputError, Verification
from builder.model.tensor import TensorSpec
from builder.payload.tools import find_program, run_program
from builder.ports import Log
from builder.steps import Verify

TIMEOUT_S = 900.0
"""An emulated board is some 20 times slower than a real one; a hang must still end."""


def verify(step: Verify, *, prepared: Path, assembled: Path, output: Path, log: Log) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Verify`` describes.

    The runner's own ``--check`` must come to the same verdict as the comparison made here.
    """
    bundle = assembled / "bundle"
    computed = output / "computed"
    said_ok = _run_check((*_prefix(step), str(bundle / "bin" / "run")), computed, log)
    tolerances = _tolerances(prepared / "check" / "tolerance.txt")
    outputs = tuple(
        compare(
            spec,
            _load(computed / f"{spec.file}.npy", spec),
            _load(prepared / "check" / "expected" / f"{spec.file}.npy", spec),
            *tolerances[spec.file],
        )
        for spec in read_signature(prepared).outputs
    )
    verdict = all(entry.ok for entry in outputs)
    if verdict != said_ok:
        raise IntegrityError(
            "the runner's check and the builder's comparison disagree",
            reason="check-disagrees",
            why=f"the runner said {'ok' if said_ok else 'wrong'}",
        )
    result = Verification(
        ok=verdict,
        where=step.where,
        max_abs_error=max((entry.max_abs_error for entry in outputs), default=0.0),
        outputs=outputs,
        cautions=_cautions(prepared / "cautions.json"),
    )
    if not verdict:
        _find_the_node(step, bundle, prepared, output, log)
    for path in computed.iterdir():
        path.unlink()
    computed.rmdir()
    text = json.dumps(dataclasses.asdict(result), indent=1) + "\n"
    (output / "verification.json").write_text(text, encoding="utf-8")


def _find_the_node(step: Verify, bundle: Path, prepared: Path, output: Path, log: Log) -> None:
    """Leave in ``output/bisect`` what a bisection finds, if it finds anything."""
    from builder.payload.bisect import bisect  # ONNX Runtime, which a right bundle does not need

    dump, found = output / "dump", output / "bisect"
    try:
        run_program(
            (*_prefix(step), str(bundle / "bin" / "run"), "--dump", str(dump)), timeout_s=TIMEOUT_S
        )
        found.mkdir()
        bisect(prepared, dump, output=found, log=log)
    except Exception as error:  # the verdict stands without its cause
        log(f"no bisection: {error}")
    finally:
        shutil.rmtree(dump, ignore_errors=True)


def _prefix(step: Verify) -> tuple[str, ...]:
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


def _run_check(argv: Sequence[str], computed: Path, log: Log) -> bool:
    """Run the bundle's self-check, keeping its outputs; return its verdict."""
    computed.mkdir()
    try:
        done = run_program(
            (*argv, "--check", "--json", "--outputs", str(computed)), timeout_s=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(
            f"the bundle did not finish its check in {TIMEOUT_S:.0f} s", reason="check-hangs"
        ) from None
    for line in done.stderr.splitlines():
        log(line)
    if _is_unknown_cpu(done.stderr):
        raise _unknown_cpu(argv, done.stderr)
    # Emulators and loaders end with 1 as well where nothing could be run; a verdict has a document.
    if done.returncode not in (0, 1) or not done.stdout.lstrip().startswith("{"):
        raise IntegrityError(
            "the bundle does not run",
            reason="bundle-crashed",
            why=f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}",
        )
    return done.returncode == 0


def _is_unknown_cpu(said: str) -> bool:
    return "unable to find CPU model" in said


def _unknown_cpu(argv: Sequence[str], said: str) -> UsageError:
    program, cpu = argv[0], argv[argv.index("-cpu") + 1]
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


def _tolerances(path: Path) -> dict[str, tuple[float, float]]:
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {stem: (float(absolute), float(relative)) for stem, absolute, relative in rows}


def _cautions(path: Path) -> tuple[Caution, ...]:
    return tuple(Caution(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))


def _load(path: Path, spec: TensorSpec) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    return array.view(ml_dtypes.bfloat16) if spec.dtype == "bfloat16" else array


def compare(
    spec: TensorSpec,
    computed: npt.NDArray[Any],
    expected: npt.NDArray[Any],
    absolute: float,
    relative: float,
) -> OutputError:
    """Return how far ``computed`` is from ``expected`` (one shape, one type).

    NaN equals NaN and an infinity itself; any other meeting with them is an infinite error.
    """
    a, e = computed.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        same = (computed == expected) | (np.isnan(a) & np.isnan(e))
        difference = np.where(same, 0.0, _distance(computed, expected))
        difference = np.where(np.isnan(difference), np.inf, difference)
        scaled = np.where(same, 0.0, difference / np.maximum(np.abs(e), np.finfo(np.float64).tiny))
        right = same | (difference <= absolute + relative * np.abs(e))
    return OutputError(
        name=spec.name,
        max_abs_error=float(difference.max(initial=0.0)),
        max_rel_error=float(scaled.max(initial=0.0)),
        ok=bool(right.all()),
    )


def _distance(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return ``|one - other|``, of integers exactly: float64 cannot tell large ones apart."""
    if one.dtype.kind not in "iu":
        return np.asarray(np.abs(one.astype(np.float64) - other.astype(np.float64)))
    # What is left of a difference in as many bits without a sign is the distance itself.
    bits = np.dtype(f"u{one.dtype.itemsize}")
    left, right = one.view(bits), other.view(bits)
    distance: npt.NDArray[Any] = np.where(one > other, left - right, right - left)
    return distance
