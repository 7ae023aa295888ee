"""From a request to a plan: the only place where steps are put together. Pure."""

from __future__ import annotations

from builder.planning.bundles import plan
from builder.planning.inquiries import (
    best_set,
    plan_bisection,
    plan_inspection,
    plan_shortlist,
    plan_trial,
    plan_tuning,
    tunable_here,
)
from builder.planning.machines import INSTALL_EMULATORS, runs_where
from builder.planning.planned import (
    BuildRequest,
    Goal,
    Plan,
    PlannedStep,
    ToolchainOf,
    VerifyPolicy,
)

__all__ = [
    "INSTALL_EMULATORS",
    "BuildRequest",
    "Goal",
    "Plan",
    "PlannedStep",
    "ToolchainOf",
    "VerifyPolicy",
    "best_set",
    "plan",
    "plan_bisection",
    "plan_inspection",
    "plan_shortlist",
    "plan_trial",
    "plan_tuning",
    "runs_where",
    "tunable_here",
]
