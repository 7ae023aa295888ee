"""Where the bundle is that a user names."""

from __future__ import annotations

import json
from pathlib import Path

from builder.beneath import read_plain
from builder.boards.bundle import not_runnable
from builder.bundle.manifest import MANIFEST
from builder.errors import UsageError
from builder.model.receipt import RECEIPT_BYTES, Receipt


def find_bundle(place: Path) -> Path:
    """Return the bundle's folder at ``place`` or in its ``bundle``.

    Raises ``UsageError``: ``no-bundle``, ``not-runnable``, ``last-build-failed`` where ``place``
    is a target's folder whose bundle is of an earlier build.
    """
    _refuse_failed(place)
    for folder in (place, place / "bundle"):
        if (folder / MANIFEST).is_file():
            if any(folder.glob("*.aar")):
                raise not_runnable(str(place))
            return folder.absolute()
    raise UsageError(
        "there is no bundle",
        reason="no-bundle",
        where=str(place),
        remedy="give the folder of a target, such as dist/MODEL/TARGET; boardwright build makes it",
    )


def _refuse_failed(place: Path) -> None:
    try:
        receipt = Receipt.from_json(json.loads(read_plain(place / "receipt.json", RECEIPT_BYTES)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return  # the bundle speaks for itself
    if receipt.last_good is not None:
        raise UsageError(
            "the last build of this target failed",
            reason="last-build-failed",
            where=str(place),
            state=f"the bundle there is of {receipt.last_good.published_utc}",
            remedy=f"build it again, or name that bundle: {place / 'bundle'}",
        )
