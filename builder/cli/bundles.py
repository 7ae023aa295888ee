"""The bundle of each target that devices need: given, published already, or built now."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from builder.boards.bundle import LocalBundle, read_bundle
from builder.cli.building import Flags, carry_out, lay_plans
from builder.cli.environment import Environment
from builder.cli.intact import intact_bundle
from builder.cli.reports import Report, choose_report
from builder.effects.digest_memo import DigestMemo
from builder.effects.publish import Publisher
from builder.errors import BoardwrightError, UsageError
from builder.model.receipt import Receipt
from builder.report.silent import SilentReport

Bundles = Mapping[str, LocalBundle | BoardwrightError | None]
"""By target: the bundle, why there is none, or None for one that is still to be built."""


def given_bundle(place: Path, targets: Sequence[str], environment: Environment) -> Bundles:
    """Return the bundle at ``place``, which is compared with its manifest.

    Raises ``UsageError`` ``other-target`` for other devices, and as ``intact_bundle`` does.
    """
    bundle = intact_bundle(place, DigestMemo(environment.cache_root / "memo").sha256)
    for target in targets:
        if target != bundle.target:
            raise UsageError(
                f"the bundle is for {bundle.target}, and a device is {target}",
                reason="other-target",
                where=str(place),
                remedy="select devices of that target with --device or --tag",
            )
    return {bundle.target: bundle}


def build_bundles(
    flags: Flags, environment: Environment, cancel: threading.Event
) -> dict[str, LocalBundle | BoardwrightError | None]:
    """Build what ``flags`` ask for, out of the cache where nothing has changed."""
    report: Report = SilentReport()
    if not flags.as_json:
        report = choose_report(as_json=False, verbose=False, plain=environment.plain)
    receipts = carry_out(lay_plans(flags, environment), report, cancel)
    return {receipt.target: _bundle(receipt) for receipt in receipts}


def published_bundles(
    flags: Flags, environment: Environment
) -> dict[str, LocalBundle | BoardwrightError | None]:
    """Return what a build would find published and current; nothing is built."""
    work = lay_plans(flags, environment)
    publisher = Publisher(work.out, work.tools.memo)
    found = {
        goal.target.name: publisher.is_current(work.plan.model, goal.target.name, goal.key)
        for goal in work.plan.goals
    }
    return {target: _bundle(receipt) if receipt else None for target, receipt in found.items()}


def _bundle(receipt: Receipt) -> LocalBundle | BoardwrightError:
    if receipt.bundle is None:
        return BoardwrightError.from_json(receipt.error or {})
    return read_bundle(Path(receipt.bundle.path))
