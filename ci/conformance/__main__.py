"""Run ONNX's own tests through Prepare, Compile and the native library: ``ci/conformance``.

A case counts where ONNX Runtime passes it and its output shapes do not depend on data. Exits with 1
where a case fails that ``expected.json`` says passes.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from builder import matrix
from builder.model.target import Target
from builder.package_files import targets_root
from ci.conformance import page, results
from ci.conformance.building import Workplace
from ci.conformance.cases import Case, collect
from ci.conformance.results import Result
from ci.conformance.running import run
from ci.conformance.sampling import sample
from ci.conformance.stressing import stress

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.json"
PAGE = HERE.parents[1] / "docs" / "conformance.md"


def main() -> int:
    """Run what the options select; return the exit code."""
    options = _parser().parse_args()
    started = time.monotonic()
    known = collect()
    cases = _selected(known, options)
    target = one_cpu(options.target)
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        place = Workplace(
            folder=options.keep or Path(name),
            target=target,
            processes=options.jobs,
            limit_s=options.limit,
        )
        found = _found(cases, place, options)
    print(f"{results.summary(found)} on {target.name}, {time.monotonic() - started:.0f} s")
    if options.json:
        results.write_json(found, options.json)
    if options.update:
        _update(found, target, whole=len(cases) == len(known))
    expected = json.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else {}
    worse = results.regressions(found, expected)
    for result in worse:
        print(f"regression: {result.name}: {result.verdict}: {result.reason}")
    return 1 if worse else 0


def _update(found: Sequence[Result], target: Target, *, whole: bool) -> None:
    """Write the page's part about ``target``; what is expected follows from a whole run only."""
    if whole:
        expected = results.expected_of(found)
        EXPECTED.write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    section = page.whole(found) if whole else page.sampled(found)
    PAGE.write_text(page.rewritten(text, target.name, section), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ci/conformance", description=__doc__)
    parser.add_argument("--target", default="x86_64-linux", help="a built-in target")
    parser.add_argument("--only", action="append", help="a pattern of case names; may be repeated")
    parser.add_argument(
        "--sample", type=int, help="so many of what is expected to pass, each operator once first"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=int, default=60, help="CPU seconds for one case")
    parser.add_argument("--guard", action="store_true", help="run kernels between guard pages")
    parser.add_argument("--stress", action="store_true", help="run with other data, too")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    parser.add_argument(
        "--keep", type=Path, help="work in this folder and leave it; what it holds compiled is used"
    )
    parser.add_argument("--update", action="store_true", help="write expected.json and the page")
    return parser


def _found(
    cases: Mapping[int, Case], place: Workplace, options: argparse.Namespace
) -> list[Result]:
    if options.stress:
        return stress(cases, place, guarded=options.guard)
    return run(cases, place, guarded=options.guard)


def _selected(known: Sequence[Case], options: argparse.Namespace) -> dict[int, Case]:
    """Return the cases that are asked for, by their number among all."""
    patterns = options.only or ["*"]
    chosen = [c for c in known if any(fnmatch.fnmatchcase(c.name, one) for one in patterns)]
    if options.sample:
        expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
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
