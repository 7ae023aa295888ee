"""What lies where on a board.

``root/store/<sha256>`` files by content, ``root/releases/<number>-<id>/`` bundles made of them,
``root/current`` a link to one of those, ``root/locks/ticket-<number>`` who may change all this,
``root/results/`` is kept for what is measured there. A release's number is that of the ticket it
was made current with; 0 is for one that never was, or that was given up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.deploy.facts import kib_in_bytes
from builder.deploy.replies import Replies, broken_answer, refusal

PART_PREFIX = ".part-"
"""Of a file in the store that is still being sent; the name goes on with the hash of the whole."""

NEW_PREFIX = ".new-"
"""Of a file in the store that is not known yet to hold what its name says."""

PARTS_SUFFIX = ".parts"
"""Of the list of an object's parts, beside the object."""

_SCRAPS = (NEW_PREFIX, ".gone-")
_ID_DIGITS = 16
_RELEASE = re.compile(r"(\d{8,12})-([A-Za-z0-9][A-Za-z0-9._-]{0,63}-[0-9a-f]{16})")
_OBJECT = re.compile(r"[0-9a-f]{64}(?:\.parts)?")
_UPLOAD = re.compile(r"\.part-[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Release:
    """A release on a board, in the order of becoming current."""

    number: int
    id: str

    @property
    def name(self) -> str:
        return release_name(self.number, self.id)

    @property
    def retired(self) -> Release:
        """The same release, given up: it comes before all that ever were current."""
        return Release(number=0, id=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a board's lock, and for how many seconds."""

    who: str
    age_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is on a board: sizes in bytes by name; ``current`` None where there is none.

    ``scraps`` are names in the store and among the releases that an earlier try has left half-made.
    ``free_bytes`` is None where the board does not tell, or has no root yet.
    """

    releases: tuple[Release, ...]
    current: Release | None
    objects: dict[str, int]
    uploads: dict[str, int]
    scraps: tuple[str, ...]
    holder: Holder | None
    free_bytes: int | None

    def release(self, id: str) -> Release | None:
        """Return the newest release of that content, the current one before all others."""
        same = [release for release in self.releases if release.id == id]
        return self.current if self.current in same else max(same, default=None)


def release_id(model: str, manifest_sha256: str) -> str:
    """Return the id of a bundle: its manifest names the hash of every other file."""
    return f"{model}-{manifest_sha256[:_ID_DIGITS]}"


def release_name(number: int, id: str) -> str:
    """Return the folder's name of a release."""
    return f"{number:08d}-{id}"


def parse_release(name: str) -> Release | None:
    """Return the release whose folder is called ``name``, None for any other name."""
    match = _RELEASE.fullmatch(name)
    return Release(number=int(match[1]), id=match[2]) if match else None


def inventory_of(replies: Replies, *, where: str) -> Inventory:
    """Return the inventory in the answer of ``templates/device/inventory.sh``.

    Names that this program does not write are left out: they are nobody's. Raises ``DeviceLost``
    ``garbled-output`` where the current release is not among the releases, ``DeviceRefused``
    ``planted-link`` where a link is among the objects or the releases.
    """
    if (planted := replies.first("planted")) is not None:
        raise refusal(f"planted-link {planted}", where=where)
    names = [value.partition(" ")[0] for value in replies.all("release")]
    releases = tuple(sorted(filter(None, map(parse_release, names))))
    sizes = dict(filter(None, map(_sized, replies.all("object"))))
    current = parse_release(replies.first("current") or "")
    if replies.first("current") and current not in releases:
        raise broken_answer(where, "the current release is not there")
    return Inventory(
        releases=releases,
        current=current,
        objects={name: size for name, size in sizes.items() if _OBJECT.fullmatch(name)},
        uploads={name: size for name, size in sizes.items() if _UPLOAD.fullmatch(name)},
        scraps=tuple(name for name in (*names, *sizes) if name.startswith(_SCRAPS)),
        holder=holder_of(replies.first("busy")),
        free_bytes=kib_in_bytes(replies.first("free_kib")),
    )


def holder_of(busy: str | None) -> Holder | None:
    """Return who a board says holds it: a name and seconds."""
    if busy is None:
        return None
    who, _, age = busy.rpartition(" ")
    return Holder(who=who[:200], age_s=int(age) if age.isdecimal() and len(age) < 12 else 0)


def _sized(text: str) -> tuple[str, int] | None:
    name, _, size = text.partition(" ")
    return (name, int(size)) if size.isdecimal() and len(size) <= 18 else None
