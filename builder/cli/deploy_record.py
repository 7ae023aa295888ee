"""What a deployment says at its end, and what is kept of it beside the receipt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builder.boards.bundle import LocalBundle
from builder.cli.clock import SystemClock
from builder.cli.failure import warn
from builder.cli.visits import Visit
from builder.deploy.deployment import MEASURE, PREFLIGHT, Deployment, lock_step, steps_unseen
from builder.deploy.layout import Holder
from builder.effects.durable import refusals, write_atomically
from builder.errors import BoardwrightError
from builder.model.deployed import Deployed, Succeeded
from builder.report.wording import byte_size

_RECEIPT = "receipt.json"


def succeeded(done: Deployed, bundle: LocalBundle, *, seconds: float) -> Succeeded:
    """Return how a deployment went, having kept it as JSON beside the bundle's receipt."""
    document = {
        **done.to_json(),
        "seconds": round(seconds, 3),
        "deployed_utc": SystemClock().now_utc_iso(),
    }
    _keep({"status": "ok", **document}, bundle, done.device)
    return Succeeded(device=done.device, line=_line(done, seconds), document=document)


@contextmanager
def failure_kept(device: str, bundle: LocalBundle) -> Iterator[None]:
    """Keep what goes wrong inside as JSON in the same place."""
    try:
        yield
    except BoardwrightError as failure:
        document = {"status": "failed", "device": device, "error": failure.to_json()}
        _keep(document, bundle, device)
        raise


def planned(device: str, plan: Deployment, holder: Holder | None, *, measured: bool) -> Succeeded:
    """Return what a deployment would do; ``measured`` says whether the board is measured then."""
    steps = [PREFLIGHT, lock_step(holder), *plan.steps(), *_measuring(measured)]
    document = {**plan.to_json(), "steps": steps}
    return Succeeded(device=device, line=f"{len(steps)} steps", document=document)


def unbuilt(device: str, target: str, *, keep: int, measured: bool) -> Succeeded:
    """Return what a deployment would do where there is no bundle yet."""
    steps = [
        f"build for {target}",
        PREFLIGHT,
        lock_step(None),
        *steps_unseen(keep),
        *_measuring(measured),
    ]
    return Succeeded(device=device, line=f"{len(steps)} steps", document={"steps": steps})


def _measuring(measured: bool) -> tuple[str, ...]:
    return (MEASURE,) if measured else ()


def step_lines(visits: Iterable[Visit]) -> Iterator[str]:
    """Yield the steps that each board would need, numbered, for people."""
    for visit in visits:
        for number, step in enumerate(visit.document.get("steps", ()), start=1):
            yield f"{visit.device}: {number}. {step}"


def _line(done: Deployed, seconds: float) -> str:
    if not done.changed:
        return f"runs {done.release} already; checked in {seconds:.1f} s"
    was = f" after {done.previous}" if done.previous else ""
    sent = f"{byte_size(done.sent_bytes)} sent, {byte_size(done.reused_bytes)} were there"
    return f"runs {done.release}{was}; {sent}; {seconds:.1f} s"


def _keep(document: dict[str, Any], bundle: LocalBundle, device: str) -> None:
    place: Path = bundle.folder.parent
    if not (place / _RECEIPT).is_file():
        return
    text = json.dumps(document, indent=2) + "\n"
    remedy = "make the output folder writable"
    try:
        with refusals(place, unwritable="out-unwritable", remedy=remedy):
            write_atomically(place / f"deploy-{device}.json", text.encode())
    except BoardwrightError as failure:
        warn(failure)  # what the board runs now is what counts
