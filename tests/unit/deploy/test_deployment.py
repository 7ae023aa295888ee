from __future__ import annotations

import pytest

from builder.deploy.deployment import Deployment, to_go_back, to_prune
from builder.deploy.layout import (
    Inventory,
    Release,
    holder_of,
    inventory_of,
    parse_release,
    release_id,
    release_name,
)
from builder.deploy.shipment import BundleFile, Shipment, missing_files, ship
from builder.errors import BoardwrightError, DeviceLost, DeviceRefused
from tests.unit.deploy.answers import replies

A, B, C = (Release(number=n, id=f"toy-{n:016x}") for n in (3, 6, 9))
EMPTY = Shipment(wholes=(), pack=(), objects=())


def inventory(*releases: Release, current: Release | None = None) -> Inventory:
    return Inventory(
        releases=tuple(sorted(releases)),
        current=current,
        objects={},
        uploads={},
        scraps=(),
        holder=None,
        free_bytes=None,
    )


def test_room_where_files_can_be_linked_and_where_they_are_copied() -> None:
    new = BundleFile(path="bin/run", sha256="b" * 64, mode=0o755, size_bytes=70)
    deployment = Deployment(
        id=A.id,
        there=None,
        current=None,
        reused_files=1,
        reused_bytes=1000,
        shipment=ship([new], {}, {}),
        prune=(),
    )
    extra = deployment.room_bytes(links=False) - deployment.room_bytes(links=True)
    assert extra == 1070


def test_names_of_releases() -> None:
    id = release_id("yunet-n-320", "0123456789abcdef" + "0" * 48)
    assert id == "yunet-n-320-0123456789abcdef"
    assert parse_release(release_name(7, id)) == Release(number=7, id=id)
    assert release_name(7, id) == "00000007-yunet-n-320-0123456789abcdef"
    for name in ("", "7-x", "0000007-" + id, ".new-1", "../x", "00000007-" + id + "/.."):
        assert parse_release(name) is None


def test_an_inventory() -> None:
    sha = "a" * 64
    found = inventory_of(
        replies(
            f"current {B.name}\nrelease {A.name} 4096\nrelease {B.name} 4096\n"
            "release lost+found 1\n"
            f"object {sha} 12\nobject {sha}.parts 3\nobject .part-{sha} 5\nobject readme 1\n"
            f"object .new-{sha} 4\nrelease .gone-x 1\nbusy anna@lab 17\nfree_kib 3"
        ),
        where="pi",
    )
    assert (found.releases, found.current) == ((A, B), B)
    assert found.objects == {sha: 12, f"{sha}.parts": 3}
    assert found.uploads == {f".part-{sha}": 5}
    assert found.scraps == (".gone-x", f".new-{sha}")
    assert found.free_bytes == 3072
    assert found.holder
    assert (found.holder.who, found.holder.age_s) == ("anna@lab", 17)


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        (f"current {A.name}", DeviceLost, "garbled-output"),
        ("planted store/x", DeviceRefused, "planted-link"),
    ],
)
def test_an_inventory_that_cannot_be(said: str, kind: type[BoardwrightError], reason: str) -> None:
    with pytest.raises(kind) as caught:
        inventory_of(replies(said), where="pi")
    assert caught.value.reason == reason


@pytest.mark.parametrize("said", ["", "x", "-5", "a b c"])
def test_a_holder_that_is_made_up_is_harmless(said: str) -> None:
    holder = holder_of(said)
    assert holder is not None
    assert holder.age_s == 0


@pytest.mark.parametrize(("keep", "removed"), [(1, (A, B)), (2, (A,)), (3, ()), (99, ())])
def test_the_newest_stay(keep: int, removed: tuple[Release, ...]) -> None:
    assert to_prune(inventory(A, B, C, current=C), C.id, keep) == removed


def test_what_runs_stays_however_old_and_its_twin_goes() -> None:
    twin = Release(number=0, id=A.id)
    found = inventory(twin, A, B, C, current=A)
    assert to_prune(found, A.id, 2) == (twin, B)
    assert to_prune(found, A.id, 1) == (twin, B, C)


def test_going_back() -> None:
    assert to_go_back(inventory(A, B, C, current=C), None, where="pi") == B
    assert to_go_back(inventory(A, B, C, current=B), None, where="pi") == A
    assert to_go_back(inventory(A, B), None, where="pi") == B
    assert to_go_back(inventory(A, B.retired, C, current=C), None, where="pi") == A
    assert to_go_back(inventory(A, B.retired, C, current=C), B.id, where="pi") == B.retired
    assert to_go_back(inventory(A, C, current=A), C.id[-16:], where="pi") == C


@pytest.mark.parametrize(
    ("found", "wanted", "reason"),
    [
        (inventory(), None, "nothing-to-roll-back"),
        (inventory(A, current=A), None, "nothing-to-roll-back"),
        (inventory(A.retired, B, current=B), None, "nothing-to-roll-back"),
        (inventory(A, B), "other", "no-release"),
        (inventory(A, B), "", "no-release"),
    ],
)
def test_nowhere_to_go(found: Inventory, wanted: str | None, reason: str) -> None:
    with pytest.raises(DeviceRefused) as caught:
        to_go_back(found, wanted, where="pi")
    assert caught.value.reason == reason


def test_a_content_is_sent_once() -> None:
    files = [
        BundleFile(path=path, sha256=sha * 64, size_bytes=10, mode=0o644)
        for path, sha in (("a", "1"), ("b", "1"), ("c", "2"), ("d", "3"))
    ]
    missing = missing_files(files, {"3" * 64})
    assert [file.sha256[0] for file in missing] == ["1", "2"]
    shipment = ship(missing, {}, {})
    assert (shipment.sent_bytes, shipment.wholes, len(shipment.objects)) == (20, (), 2)


def plan(**changes: object) -> Deployment:
    values = {
        "id": A.id,
        "there": None,
        "current": None,
        "reused_files": 0,
        "reused_bytes": 0,
        "shipment": EMPTY,
        "prune": (),
    }
    return Deployment(**{**values, **changes})  # type: ignore[arg-type]


def test_a_plan_that_changes_nothing_only_checks() -> None:
    same = plan(there=A, current=A)
    assert same.changes_nothing
    assert len(same.steps()) == 1


def test_a_plan_says_each_step() -> None:
    steps = plan(current=B, prune=(C,)).steps()
    assert len(steps) == 4
    assert C.name in steps[-1]
