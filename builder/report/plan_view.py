"""A plan for people and for programs: what ``build --dry-run`` prints."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from builder.planning import Goal, Plan
from builder.report.summary import aligned
from builder.report.wording import safe
from builder.steps import Package, Verify

SHORT = 12
"""Digits of a key that are shown: enough to tell the steps of a plan apart."""


def plan_lines(plan: Plan, cached: Collection[str]) -> list[str]:
    """Return the steps as an aligned table; ``cached`` are the keys that the store has."""
    rows = [("step", "key", "needs", "cached", "for")]
    for planned in plan.steps:
        ref = plan.ref(planned)
        rows.append(
            (
                ref.kind,
                ref.key[:SHORT],
                " ".join(key[:SHORT] for _, key in planned.needs) or "-",
                "yes" if ref.key in cached else "no",
                ref.targets[0] if len(ref.targets) == 1 else f"{len(ref.targets)} targets",
            )
        )
    return [safe(f"plan of {plan.model}"), *aligned(rows)]


def plan_to_json(plan: Plan, cached: Collection[str]) -> dict[str, Any]:
    """Return the plan as the data that ``--dry-run --json`` prints."""
    return {
        "status": "ok",
        "model": plan.model,
        "goals": [_goal(goal) for goal in plan.goals],
        "steps": [
            {
                "kind": planned.kind,
                "key": planned.key,
                "needs": dict(planned.needs),
                "targets": list(plan.ref(planned).targets),
                "cached": planned.key in cached,
            }
            for planned in plan.steps
        ],
    }


def _goal(goal: Goal) -> dict[str, str]:
    verify = goal.verify.step if goal.verify else None
    where = verify.where if isinstance(verify, Verify | Package) else "none"
    return {"target": goal.target.name, "key": goal.key, "verify": where}
