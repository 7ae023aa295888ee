"""Bring a bundle to a board: preflight, send what is new, make a release, check, switch, prune."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from builder.boards.board import Board
from builder.boards.checking import check_release, damaged
from builder.boards.draft import Order, draw_up, with_room_of
from builder.boards.lock import BoardLock, hold
from builder.boards.survey import probe, take_stock
from builder.boards.switching import leaving, switch_to
from builder.boards.upload import Upload, arrived, send, uploads_of
from builder.deploy.deployment import Deployment, to_prune
from builder.deploy.facts import DeviceFacts
from builder.deploy.layout import Holder, Inventory, Release
from builder.deploy.preflight import fits, refuse_full, refuse_unfit
from builder.deploy.replies import UNCHANGED, wrong_hash
from builder.deploy.shipment import (
    NewObject,
    Shipment,
    build_lines,
    release_lines,
)
from builder.errors import BoardwrightError, DeviceRefused, IntegrityError
from builder.model.deployed import Deployed, Emit, Reached, Sent, Stage, Waited

_BUILDING_S = 1800.0


def deploy(board: Board, order: Order, emit: Emit) -> Deployed:
    """Make the order's bundle what the board runs, and return what that took.

    Whatever ends this, the board runs the old release or the new one. Raises ``DeviceRefused``
    (preflight, space, permission), ``DeviceBusy``, ``DeviceLost``, ``IntegrityError`` (transfer
    damaged twice, check failed), ``Interrupted``.
    """
    with deploying(board, order, emit) as (done, _):
        return done


@contextmanager
def deploying(board: Board, order: Order, emit: Emit) -> Iterator[tuple[Deployed, BoardLock]]:
    """Deploy, and hold the board inside the context: nobody else can change what runs there.

    Raises what ``deploy`` does, on entering.
    """
    tell = partial(_tell, emit, board)
    with ExitStack() as held:
        with leaving(UNCHANGED):
            tell("probe")
            facts = probe(board)
            refuse_unfit(facts, order.needs, where=board.name, allow_exposed=board.allow_exposed)
            tell("lock")
            on_wait = _waiting(emit, board)
            lock = held.enter_context(hold(board, order.who, wait_s=order.wait_s, on_wait=on_wait))
        yield _Delivery(board, order, lock, facts, emit).make(), lock


def bring(board: Board, order: Order, lock: BoardLock, emit: Emit) -> Release:
    """Lay the order's bundle out beside what the board runs, check it there, return its release.

    It is the first that a later deployment prunes. Raises what ``deploy`` does.
    """
    facts = probe(board)
    refuse_unfit(facts, order.needs, where=board.name, allow_exposed=board.allow_exposed)
    return _Delivery(board, order, lock, facts, emit).lay_out()


class _Delivery:
    """One deployment under a held lock."""

    def __init__(
        self, board: Board, order: Order, lock: BoardLock, facts: DeviceFacts, emit: Emit
    ) -> None:
        self._board = board
        self._order = order
        self._lock = lock
        self._root = lock.root
        self._facts = facts
        self._emit = emit
        self._sent = 0
        self._resumed = 0
        self._reused = 0

    def make(self) -> Deployed:
        with leaving(UNCHANGED):
            found = self._stock()
            release = self._checked(self._bring(found))
        changed = release != found.current
        if changed:
            release = self._switch(release)
        with leaving(f"the board runs {release.name}", surely=True):
            removed = self._prune(self._look() if changed else found)
        return Deployed(
            device=self._board.name,
            target=self._order.bundle.target,
            model=self._order.bundle.model,
            release=release.name,
            previous=found.current.name if found.current and changed else None,
            changed=changed,
            sent_bytes=self._sent,
            resumed_bytes=self._resumed,
            reused_bytes=self._reused,
            removed=removed,
            fence=self._lock.number,
        )

    def lay_out(self) -> Release:
        release = self._bring(self._stock())
        self._check(release)
        return release

    def _stock(self) -> Inventory:
        self._stage("survey")
        return self._look()

    def _look(self) -> Inventory:
        found = take_stock(self._board)
        self._facts = with_room_of(self._facts, found)
        return found

    def _checked(self, release: Release) -> Release:
        """Return the release once it has passed its check, made anew where it was damaged."""
        try:
            self._check(release)
        except (IntegrityError, DeviceRefused) as failure:
            release = self._repaired(release, failure)
            self._check(release)
        return release

    def _bring(self, found: Inventory, *, again: bool = False) -> Release:
        """Return the release as it lies on the board, made there if it was not."""
        plan = draw_up(self._board, self._root, self._order, found, resembling=not again)
        self._reused = plan.reused_bytes
        if plan.there is not None:
            return plan.there
        uploads = uploads_of(plan.shipment, self._order.bundle.folder)
        self._make_room(plan, uploads, found)
        try:
            self._ship(plan.shipment, uploads, {} if again else found.uploads)
        except IntegrityError:
            if again:
                raise
            return self._bring(replace(self._look(), releases=found.releases), again=True)
        self._stage("release")
        release = Release(number=0, id=plan.id)
        lines = release_lines(plan.shipment, self._order.bundle.files)
        self._board.ask(
            "release", self._lock.fence, release.name, lines=lines, timeout_s=_BUILDING_S
        )
        return release

    def _make_room(self, plan: Deployment, uploads: Sequence[Upload], found: Inventory) -> None:
        """Refuse a board that is too full, even without what other tries have left there."""
        own = {upload.name: found.uploads.get(upload.name, 0) for upload in uploads}
        needed_bytes = plan.room_bytes(links=self._facts.links_files) - sum(own.values())
        others = [name for name in (*found.uploads, *found.scraps) if name not in own]
        if others and not fits(self._facts, needed_bytes):
            lines = [f"scrap {name}" for name in others]
            self._lock.advance(self._board.ask("drop", self._lock.fence, lines=lines))
            self._look()
        refuse_full(self._facts, needed_bytes, where=self._board.name)

    def _ship(self, shipment: Shipment, uploads: Sequence[Upload], held: Mapping[str, int]) -> None:
        if not shipment.objects:
            return
        self._send(uploads, arrived(self._board, uploads, held))
        self._stage("verify")
        pack = next((u.name for u in uploads if u.pieces == shipment.pack), "")
        replies = self._board.ask(
            "build",
            self._lock.fence,
            lines=build_lines(shipment, pack),
            timeout_s=_BUILDING_S,
        )
        hashes = dict(value.rpartition(" ")[::2] for value in replies.all("hash"))
        for new in shipment.objects:
            if (hashes.get(new.made_as) or self._hash(new)) != new.sha256:
                raise wrong_hash(self._board.name, new.name)

    def _send(self, uploads: Sequence[Upload], there: Mapping[str, int]) -> None:
        self._stage("send")
        total = sum(upload.size_bytes - there.get(upload.name, 0) for upload in uploads)
        self._resumed += sum(there.values())

        def on_sent(count: int) -> None:
            self._emit(Sent(device=self._board.name, sent_bytes=count, total_bytes=total))

        self._sent += send(self._board, self._root, uploads, there, on_sent)

    def _hash(self, new: NewObject) -> str:
        path = f"{self._root}/store/{new.made_as}"
        return self._board.hash(path, limit_bytes=new.size_bytes)

    def _check(self, release: Release) -> None:
        self._stage("check")
        check_release(self._board, self._root, release.name)

    def _repaired(self, release: Release, failure: BoardwrightError) -> Release:
        """Return the release made anew where its files were damaged; else raise ``failure``."""
        expected = {file.path: file.sha256 for file in self._order.bundle.files}
        bad = damaged(self._board, release.name, expected)
        if not bad:
            raise failure
        lines = [f"object {expected[path]}" for path in bad]
        if release.number == 0:
            lines.append(f"release {release.name}")
        self._lock.advance(self._board.ask("drop", self._lock.fence, lines=lines))
        found = self._look()
        others = tuple(one for one in found.releases if one.id != release.id)
        return self._bring(replace(found, releases=others))

    def _switch(self, release: Release) -> Release:
        self._stage("switch")
        active = Release(number=self._lock.number, id=release.id)
        switch_to(self._board, self._lock, release, active)
        return active

    def _prune(self, found: Inventory) -> tuple[str, ...]:
        gone = to_prune(found, self._order.bundle.id, self._order.keep)
        if not gone and not found.uploads and not found.scraps:
            return ()
        self._stage("prune")
        self._lock.check()
        replies = self._board.ask(
            "prune", self._lock.fence, lines=[release.name for release in gone]
        )
        self._lock.advance(replies)
        return replies.all("removed")

    def _stage(self, stage: Stage) -> None:
        self._lock.check()
        _tell(self._emit, self._board, stage)


def _tell(emit: Emit, board: Board, stage: Stage) -> None:
    emit(Reached(device=board.name, stage=stage))


def _waiting(emit: Emit, board: Board) -> Callable[[Holder], None]:
    return lambda holder: emit(Waited(device=board.name, who=holder.who, age_s=holder.age_s))
