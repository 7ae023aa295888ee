"""A small build as events, for reports to tell."""

from __future__ import annotations

from typing import Any

from builder.errors import BuildFailed
from builder.model.artifact import Sizes, Verification
from builder.model.event import (
    Event,
    Failed,
    Finished,
    Hit,
    Logged,
    Lost,
    Planned,
    Published,
    Ran,
    Started,
    StepRef,
)
from builder.model.receipt import NOT_VERIFIED, BundleRef, LastGood, Receipt

HOSTILE = "\x1b]0;owned\x07[red]tool says\u202e"
ERROR = BuildFailed("undefined symbol", reason="link-failed", remedy="look at it")

PREPARE = StepRef(key="1" * 64, kind="Prepare", targets=("nano", "pi"))
COMPILE = StepRef(key="2" * 64, kind="Compile", targets=("nano",))
ASSEMBLE = StepRef(key="3" * 64, kind="Assemble", targets=("pi",))


def a_receipt(target: str = "nano", **changes: Any) -> Receipt:
    fields: dict[str, Any] = {
        "status": "ok",
        "model": "mnist",
        "target": target,
        "key": "2" * 64,
        "keys": (("Prepare", "1" * 64),),
        "versions": (("boardwright", "0"),),
        "bundle": BundleRef(path="/dist/mnist/nano/bundle", sha256="c" * 64),
        "verify": Verification(ok=True, where="qemu", max_abs_error=1e-6, outputs=()),
        "cache": "miss",
        "seconds": 4.25,
        "sizes": Sizes(library=626_688, weights=300_000, archive=700_000, runner=40_000),
        "error": None,
    }
    return Receipt(**(fields | changes))


def a_lost_receipt(target: str = "pi", *, last_good: LastGood | None = None) -> Receipt:
    return a_receipt(
        target,
        status="failed",
        bundle=None,
        sizes=None,
        verify=NOT_VERIFIED,
        error=ERROR.to_json(),
        last_good=last_good,
    )


def a_build() -> list[Event]:
    good, lost = a_receipt(), a_lost_receipt()
    return [
        Planned(model="mnist", targets=("nano", "pi"), steps=(PREPARE, COMPILE, ASSEMBLE)),
        Hit(step=PREPARE),
        Started(step=COMPILE),
        Logged(step=COMPILE, line=HOSTILE),
        Ran(step=COMPILE, seconds=3.0),
        Published(receipt=good),
        Started(step=ASSEMBLE),
        Failed(step=ASSEMBLE, error=ERROR),
        Lost(receipt=lost),
        Finished(model="mnist", receipts=(good, lost), seconds=5.0),
    ]
