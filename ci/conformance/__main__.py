"""Run ONNX's own tests through Prepare, Compile and the native library: ``ci/conformance``.

A case counts where ONNX Runtime passes it and its output shapes do not depend on data. Exits with 1
where a case fails that ``expected.json`` says passes.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from builder import matrix
from builder.model.target import Target
from builder.package_files import targets_root
from ci.conformance import page, results
from ci.conformance.building import Workplace
from ci.conformance.cases import Case, collect
from ci.conformance.modes import GUARD, HOSTILE, PLAIN, STRESS, Mode
from ci.conformance.older import older
from ci.conformance.results import Result
from ci.conformance.sampling import sample

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def main() -> int:
    """Run what the options select; return the exit code."""
    options = _parser().parse_args()
    mode: Mode = options.mode
    started = time.monotonic()
    known = _known()
    cases = _selected(known, options)
    target = one_cpu(options.target)
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        place = Workplace(
            folder=options.keep or Path(name),
            target=target,
            processes=options.jobs,
            limit_s=options.limit,
        )
        found = mode.perform(cases, place)
    print(f"{results.summary(found)} on {target.name}, {time.monotonic() - started:.0f} s")
    if options.json:
        results.write_json(found, options.json)
    if options.update:
        _update(found, mode, target, whole=len(cases) == len(known))
    worse = mode.worse(found, mode.recorded())
    for result in worse:
        print(f"regression: {result.name}: {result.verdict}: {result.reason}")
    return 1 if worse else 0


def _known() -> tuple[Case, ...]:
    """Return all cases: those of today's operators, and of older versions made from them."""
    todays = collect()
    return (*todays, *older(todays))


def _update(found: Sequence[Result], mode: Mode, target: Target, *, whole: bool) -> None:
    """Write the page's part about the run; what is expected follows from a whole run only."""
    if whole:
        mode.keep(found)
    told = page.sampled if mode is PLAIN and not whole else mode.told
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        page.rewritten(text, mode.section or target.name, told(found)), encoding="utf-8"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ci/conformance", description=__doc__)
    parser.add_argument("--target", default="x86_64-linux", help="a built-in target")
    parser.add_argument("--only", action="append", help="a pattern of case names; may be repeated")
    parser.add_argument(
        "--sample", type=int, help="so many of what is expected to pass, each operator once first"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=int, default=60, help="CPU seconds for one case")
    modes = parser.add_mutually_exclusive_group()
    for name, mode, what in (
        ("--guard", GUARD, "run every kernel call between guard pages"),
        ("--stress", STRESS, "run with data that the tests did not choose"),
        ("--hostile", HOSTILE, "run with integers that mean nothing, between guard pages"),
    ):
        modes.add_argument(name, dest="mode", action="store_const", const=mode, help=what)
    parser.set_defaults(mode=PLAIN)
    parser.add_argument("--json", type=Path, help="write all results to this file")
    parser.add_argument(
        "--keep", type=Path, help="work in this folder and leave it; what it holds compiled is used"
    )
    parser.add_argument("--update", action="store_true", help="write expected.json and the page")
    return parser


def _selected(known: Sequence[Case], options: argparse.Namespace) -> dict[int, Case]:
    """Return the cases that are asked for, by their number among all."""
    patterns = options.only or ["*"]
    chosen = [c for c in known if any(fnmatch.fnmatchcase(c.name, one) for one in patterns)]
    if options.sample:
        expected = PLAIN.recorded()
        passing = [case for case in chosen if expected.get(case.name) == "pass"]
        chosen = sample(passing, options.sample)
    names = {case.name for case in chosen}
    return {number: case for number, case in enumerate(known) if case.name in names}


def one_cpu(name: str) -> Target:
    """Return a target with one set of kernels: the best that this machine or its emulator runs."""
    texts = {p.name: p.read_text(encoding="utf-8") for p in targets_root().glob("*.yaml")}
    target = matrix.load(texts, name)
    best = next((v for v in target.cpu.variants if v.mcpu == "x86-64-v3"), None)
    if best is None:
        return target
    cpu = replace(target.cpu, mcpu=best.mcpu, mattr=best.mattr, features=best.features, variants=())
    return replace(target, cpu=cpu)


if __name__ == "__main__":
    sys.exit(main())
