"""What a deployment would come to: order, bundle and board compared; nothing is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from builder.boards.board import Board
from builder.boards.bundle import LocalBundle, objects_by_path
from builder.boards.survey import probe, take_stock
from builder.bundle.manifest import LARGEST_MANIFEST, MANIFEST
from builder.deploy.deployment import Deployment, to_prune
from builder.deploy.facts import DeviceFacts
from builder.deploy.layout import PARTS_SUFFIX, Holder, Inventory
from builder.deploy.parts import Part, load_parts, longest_list_bytes, split
from builder.deploy.preflight import Needs, refuse_full, refuse_unfit
from builder.deploy.shipment import (
    DIVISIBLE_BYTES,
    EMPTY,
    Base,
    BundleFile,
    missing_files,
    ship,
)
from builder.errors import DeviceLost, DeviceRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to run on a board, what it needs there, and how it is brought there.

    ``who`` is shown to others that want the board meanwhile; ``keep`` releases stay on it.
    """

    bundle: LocalBundle
    needs: Needs
    who: str
    wait_s: int
    keep: int


def plan_deploy(board: Board, order: Order) -> tuple[Deployment, Holder | None]:
    """Return what ``deploy`` would do now, and who holds the board. Changes nothing on it.

    Raises what the preflight does.
    """
    facts = probe(board)
    refuse_unfit(facts, order.needs, where=board.name, allow_exposed=board.allow_exposed)
    found = take_stock(board)
    plan = draw_up(board, facts.root, order, found)
    # What earlier tries have sent is gone on with, or makes room.
    needed_bytes = plan.room_bytes(links=facts.links_files) - sum(found.uploads.values())
    refuse_full(with_room_of(facts, found), needed_bytes, where=board.name)
    return plan, found.holder


def with_room_of(facts: DeviceFacts, found: Inventory) -> DeviceFacts:
    """Return the facts with the room that the board has by now, where that is known."""
    return facts if found.free_bytes is None else replace(facts, free_bytes=found.free_bytes)


def draw_up(
    board: Board, root: str, order: Order, found: Inventory, *, resembling: bool = True
) -> Deployment:
    """Return what has to be done; ``resembling`` allows new objects to be made of older ones."""
    bundle = order.bundle
    there = found.release(bundle.id)
    missing = missing_files(bundle.files, found.objects) if there is None else ()
    parts = _parts(missing, bundle.folder)
    bases = _bases(board, root, found, bundle, parts) if parts and resembling else {}
    reused = [file for file in bundle.files if file not in missing]
    return Deployment(
        id=bundle.id,
        there=there,
        current=found.current,
        reused_files=len(reused),
        reused_bytes=sum(file.size_bytes for file in reused),
        shipment=ship(missing, parts, bases) if missing else EMPTY,
        prune=to_prune(found, bundle.id, order.keep),
    )


def _parts(missing: Iterable[BundleFile], folder: Path) -> dict[str, tuple[Part, ...]]:
    large = [file for file in missing if file.size_bytes >= DIVISIBLE_BYTES]
    return {file.sha256: _split(folder / file.path) for file in large}


def _split(path: Path) -> tuple[Part, ...]:
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return split(memoryview(content))


def _bases(
    board: Board,
    root: str,
    found: Inventory,
    bundle: LocalBundle,
    parts: Mapping[str, tuple[Part, ...]],
) -> dict[str, Base]:
    """Return what each new file with parts may resemble: that of its path in what runs now."""
    if found.current is None:
        return {}
    manifest = f"{root}/releases/{found.current.name}/{MANIFEST}"
    before = objects_by_path(_kept(board, manifest, LARGEST_MANIFEST))
    bases: dict[str, Base] = {}
    for file in bundle.files:
        base = before.get(file.path, "")
        if file.sha256 in parts and {base, base + PARTS_SUFFIX} <= found.objects.keys():
            size_bytes = found.objects[base]
            limit_bytes = longest_list_bytes(size_bytes)
            kept = _kept(board, f"{root}/store/{base}{PARTS_SUFFIX}", limit_bytes)
            bases[file.sha256] = Base(object=base, parts=load_parts(kept, size_bytes))
    return bases


def _kept(board: Board, path: str, limit_bytes: int) -> bytes:
    """Return what a board has kept to compare with; what cannot be read resembles nothing."""
    try:
        return board.read(path, limit_bytes=limit_bytes)
    except DeviceRefused:
        return b""
    except DeviceLost as lost:
        if lost.reason != "endless-output":
            raise
        return b""
