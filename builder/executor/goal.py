"""One goal: turn the artifacts of a target into its receipt, and hand both to the publisher."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder.errors import BoardwrightError, IntegrityError
from builder.model.artifact import Sizes, Verification
from builder.model.receipt import (
    NOT_VERIFIED,
    BundleRef,
    LastGood,
    Receipt,
    verification_from_json,
)
from builder.planning import Goal, Plan


def read_verification(goal: Goal, artifacts: Mapping[str, Path]) -> Verification:
    """Return what the goal's verification found; ``artifacts`` are by step key."""
    if goal.verify is None:
        return NOT_VERIFIED
    return verification_from_json(_json(artifacts[goal.verify.key], "verification.json"))


def evidence(goal: Goal, artifacts: Mapping[str, Path]) -> Path | None:
    """Return the folder that tells which node went wrong, where verification left one."""
    if goal.verify is None:
        return None
    folder = artifacts[goal.verify.key] / "bisect"
    return folder if (folder / "bisection.json").is_file() else None


def published(goal: Goal, artifacts: Mapping[str, Path]) -> Path:
    """Return the artifact that holds the bundle; verification may have given it new check data."""
    again = artifacts.get(goal.verify.key) if goal.verify else None
    return again if again and (again / "assembly.json").is_file() else artifacts[goal.assemble.key]


def wrong_numbers(
    goal: Goal, others: Sequence[Goal], verification: Verification, evidence: Path | None
) -> IntegrityError:
    """Return the failure that names the output farthest from ONNX Runtime's, and the node.

    ``others`` are all goals of the build.
    """
    wrong = [output for output in verification.outputs if not output.ok]
    # A NaN compares as neither more nor less: it is worse than any number.
    worst = max(wrong, key=lambda o: (o.max_abs_error != o.max_abs_error, o.max_abs_error))
    found = _json(evidence, "bisection.json") if evidence else None
    at = next((each.name for each in verification.sets if each.ok is False), None)
    return IntegrityError(
        f"output {worst.name!r} is wrong by {worst.max_abs_error:.3g} on {goal.target.name}",
        reason="verify-failed",
        where=worst.name,
        why=f"{len(wrong)} of {len(verification.outputs)} outputs differ from ONNX Runtime's"
        + (f" for the inputs {at!r}" if at else "")
        + (f"; {_blame(found)}" if found else ""),
        state="no bundle was published" + ("; see bisect/ beside its receipt" if found else ""),
        remedy=_next_step(goal, others, found),
        details={
            "wrong_outputs": [output.name for output in wrong],
            "inputs": at,
            "bisection": found,
        },
    )


def _next_step(goal: Goal, others: Sequence[Goal], found: Mapping[str, Any] | None) -> str:
    """Return what tells more, or gets round the fault; never what has just been tried."""
    match found and found["cause"]:
        case "node":
            return "report it with bisect/reproduce, which shows the fault alone"
        case "preparation":
            return "report it with the model: no target can have it right"
        case "accumulation":
            return "see whether real inputs do it too: --inputs FILE.npz"
    tried = {each.target.platform.arch for each in (goal, *others)}
    usual = {"x86_64": "x86_64-linux", "aarch64": "raspberry-pi-4"}
    other = next((name for arch, name in usual.items() if arch not in tried), None)
    if other is None:
        return "report it with the model and receipt.json"
    return f"see whether another kind of CPU has it too: boardwright build --target {other}"


def _blame(found: Mapping[str, Any]) -> str:
    """Return what a bisection found in a few words."""
    match found["cause"]:
        case "node":
            return f"the first wrong node is {found['node']!r} ({found['operator']})"
        case "accumulation":
            return f"errors add up; they first show at node {found['node']!r} ({found['operator']})"
        case "jump":
            return f"values part at node {found['node']!r} ({found['operator']}), which jumps"
        case "preparation":
            return "the model was changed while it was prepared"
    return "every value between the nodes that could be compared is right"


def success(
    plan: Plan,
    goal: Goal,
    *,
    assembled: Path,
    verification: Verification,
    bundle: Path,
    hit: bool,
    seconds: float,
) -> Receipt:
    """Return the receipt of a good bundle that will lie at ``bundle``."""
    assembly = _json(assembled, "assembly.json")
    return Receipt(
        status="ok",
        model=plan.model,
        target=goal.target.name,
        key=goal.key,
        keys=_keys(plan, goal),
        versions=plan.versions,
        bundle=BundleRef(path=str(bundle), sha256=assembly["sha256"]),
        verify=verification,
        cache="hit" if hit else "miss",
        seconds=seconds,
        sizes=Sizes(**assembly["sizes"]),
        error=None,
    )


def reused(receipt: Receipt, *, seconds: float) -> Receipt:
    """Return the receipt of a bundle that already lies where it should."""
    return replace(receipt, cache="hit", seconds=seconds)


def failure(
    plan: Plan,
    goal: Goal,
    error: BoardwrightError,
    *,
    verification: Verification,
    last_good: LastGood | None,
    seconds: float,
) -> Receipt:
    """Return the receipt of a target that got no bundle; ``last_good`` lies there still."""
    return Receipt(
        status="failed",
        model=plan.model,
        target=goal.target.name,
        key=goal.key,
        keys=_keys(plan, goal),
        versions=plan.versions,
        bundle=None,
        verify=verification,
        cache="miss",
        seconds=seconds,
        sizes=None,
        error=error.to_json(),
        last_good=last_good,
    )


def _keys(plan: Plan, goal: Goal) -> tuple[tuple[str, str], ...]:
    return tuple((planned.kind, planned.key) for planned in plan.closure(goal))


def _json(artifact: Path, name: str) -> Any:
    return json.loads((artifact / name).read_text(encoding="utf-8"))
