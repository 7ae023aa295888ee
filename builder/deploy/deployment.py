"""One deployment as a value: what ``--dry-run`` prints, and what is then done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from builder.deploy.layout import Holder, Inventory, Release
from builder.deploy.shipment import Shipment
from builder.errors import DeviceRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is to be done on one board to run the release ``id``.

    ``there`` is the release as the board has it already, None where it must be made of
    ``shipment``; ``current`` is what the board runs now, and ``prune`` what is removed afterwards.
    """

    id: str
    there: Release | None
    current: Release | None
    reused_files: int
    reused_bytes: int
    shipment: Shipment
    prune: tuple[Release, ...]

    def room_bytes(self, *, links: bool) -> int:
        """Return what the board's disk needs; without ``links`` a release copies the store."""
        new_bytes = sum(new.size_bytes for new in self.shipment.objects)
        return self.shipment.room_bytes + (0 if links else self.reused_bytes + new_bytes)

    @property
    def changes_nothing(self) -> bool:
        return self.there is not None and self.there == self.current

    def steps(self) -> tuple[str, ...]:
        """Return what will be done, in the order of doing, one line each."""
        return tuple(self._steps())

    def to_json(self) -> dict[str, Any]:
        """Return the deployment as the data that ``--dry-run --json`` prints."""
        return {
            "release": self.id,
            "there": self.there.name if self.there else None,
            "current": self.current.name if self.current else None,
            "changes": not self.changes_nothing,
            "new_objects": len(self.shipment.objects),
            "sent_bytes": self.shipment.sent_bytes,
            "room_bytes": self.shipment.room_bytes,
            "reused_files": self.reused_files,
            "reused_bytes": self.reused_bytes,
            "prune": [release.name for release in self.prune],
            "steps": list(self.steps()),
        }

    def _steps(self) -> Iterable[str]:
        if self.shipment.objects:
            yield (
                f"send {self.shipment.sent_bytes} bytes for {len(self.shipment.objects)} new "
                f"objects; {self.reused_files} files ({self.reused_bytes} bytes) are there"
            )
            yield _VERIFY
        if self.there is None:
            yield f"make the release {self.id} of the store"
        yield _CHECK
        if not self.changes_nothing:
            was = self.current.id if self.current else "nothing"
            yield f"switch current from {was} to {self.id}, check again, go back where that fails"
        for release in self.prune:
            yield f"remove {release.name}"


PREFLIGHT = "ask the board what it is, and whether it can take the bundle"
MEASURE = "measure on the board what it runs then"

_LOCK = "take the board's lock"
_VERIFY = "verify the SHA-256 of every new object on the board"
_CHECK = "check it on the board: bin/run --check"


def lock_step(holder: Holder | None) -> str:
    """Return how the lock is come by."""
    if holder is None:
        return _LOCK
    return f"{_LOCK}: wait for {holder.who}, who has held it for {holder.age_s} s"


def steps_unseen(keep: int) -> tuple[str, ...]:
    """Return what any deployment does under the lock, where what it sends is not known yet."""
    return (
        "send what the board does not have",
        _VERIFY,
        "make the release of the store",
        _CHECK,
        "switch current to it, check again, go back where that fails",
        f"remove all releases but the newest {keep}",
    )


def to_prune(inventory: Inventory, id: str, keep: int) -> tuple[Release, ...]:
    """Return the releases to remove once ``id`` is current: all but the newest ``keep`` of them.

    A second release of the same content goes, whatever ``keep`` says.
    """
    current = inventory.release(id)
    others = [release for release in inventory.releases if release != current]
    twins = [release for release in others if release.id == id]
    kept = sorted((r for r in others if r.id != id), reverse=True)[: max(0, keep - 1)]
    return tuple(r for r in others if r in twins or r not in kept)


def to_go_back(inventory: Inventory, wanted: str | None, *, where: str) -> Release:
    """Return the release that ``rollback`` makes current: ``wanted``, or the one before.

    Raises ``DeviceRefused``: ``no-release``, ``nothing-to-roll-back`` where none was current before
    the current one.
    """
    if wanted is not None:
        return _named(inventory, wanted, where)
    now = inventory.current.number if inventory.current else 1 << 62
    earlier = [release for release in inventory.releases if 0 < release.number < now]
    if not earlier:
        raise DeviceRefused(
            "the board has no earlier release",
            reason="nothing-to-roll-back",
            where=where,
            remedy="see what it has: boardwright status; name one with --to",
        )
    return max(earlier)


def _named(inventory: Inventory, wanted: str, where: str) -> Release:
    found = [r for r in inventory.releases if wanted in (r.name, r.id) or r.id.endswith(wanted)]
    if len({release.id for release in found}) != 1:
        raise DeviceRefused(
            f"the board has {'several releases' if found else 'no release'} called {wanted!r}",
            reason="no-release",
            where=where,
            why=f"it has {', '.join(r.name for r in inventory.releases) or 'none'}",
            remedy="see what it has: boardwright status",
        )
    return max(found)
