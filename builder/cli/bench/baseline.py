"""What ``--baseline REF`` names, as a release on a board."""

from __future__ import annotations

from pathlib import Path

from builder.boards.board import Board
from builder.boards.bundle import read_needs
from builder.boards.deploy import bring
from builder.boards.draft import Order
from builder.boards.lock import BoardLock
from builder.cli.fleet import own_name
from builder.cli.intact import intact_bundle
from builder.deploy.layout import Inventory, Release, release_id
from builder.effects.results import load_result
from builder.errors import UsageError
from builder.model.deployed import Emit
from builder.model.target import Target


def find_baseline(
    reference: str, board: Board, lock: BoardLock, found: Inventory, target: Target, emit: Emit
) -> Release:
    """Return the release to compare with; a bundle's folder is brought to the board if need be.

    ``reference`` is such a folder, a result file whose release is still on the board, or a release
    as ``boardwright status`` shows it, with its number or without. Raises ``UsageError``
    ``no-such-release`` or ``other-target``, and as ``load_result`` and ``bring`` do.
    """
    place = Path(reference)
    if place.is_dir():
        return _brought(place, board, lock, found, target, emit)
    if place.is_file():
        subject = load_result(place).subject
        return found.release(release_id(subject.model, subject.sha256)) or _missing(reference)
    named = [release for release in found.releases if release.name == reference]
    return named[0] if named else found.release(reference) or _missing(reference)


def _brought(
    place: Path, board: Board, lock: BoardLock, found: Inventory, target: Target, emit: Emit
) -> Release:
    bundle = intact_bundle(place)
    if bundle.target != target.name:
        raise UsageError(
            f"the baseline is for {bundle.target}, and the device is {target.name}",
            reason="other-target",
            where=str(place),
        )
    needs = read_needs(bundle.folder, target)
    order = Order(bundle=bundle, needs=needs, who=own_name(), wait_s=0, keep=1)
    return found.release(bundle.id) or bring(board, order, lock, emit)


def _missing(reference: str) -> Release:
    raise UsageError(
        "the baseline is not on the board",
        reason="no-such-release",
        where=reference,
        remedy="see: boardwright status; or give the folder of a bundle, which is brought there",
    )
