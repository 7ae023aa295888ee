"""Ports for tests: a clock that stands still, a store of folders, a workshop that obeys."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from builder.errors import Interrupted
from builder.model.receipt import LastGood, Receipt
from builder.model.source import Source
from builder.ports import Log
from builder.steps import Assemble, Step, Verify


class FakeClock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def monotonic_s(self) -> float:
        return self.time_s

    def now_utc_iso(self) -> str:
        return "2026-01-01T00:00:00Z"


class FakeStore:
    """Artifacts below a temporary folder; counts what it was asked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: dict[str, threading.Lock] = {}
        self._staged = 0
        self.lookups: list[str] = []

    def lookup(self, key: str) -> Path | None:
        self.lookups.append(key)
        path = self._root / key
        return path if path.exists() else None

    @contextmanager
    def lock(self, key: str, cancel: threading.Event) -> Iterator[None]:
        lock = self._locks.setdefault(key, threading.Lock())
        while not lock.acquire(timeout=0.01):
            if cancel.is_set():
                raise Interrupted("stopped", reason="interrupted")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def stage(self) -> Iterator[Path]:
        self._staged += 1
        staged = self._root / f"staged-{self._staged}"
        staged.mkdir(parents=True)
        try:
            yield staged
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def commit(self, key: str, staged: Path) -> Path:
        path = self._root / key
        return path if path.exists() else staged.rename(path)

    def leftovers(self) -> list[str]:
        """Return what was staged and neither committed nor removed."""
        return [path.name for path in self._root.glob("staged-*")]


class FakeWorkshop:
    """Makes the files each step promises. ``before`` may fail a step, wait, or look around."""

    def __init__(
        self, before: Callable[[Step, threading.Event], None] = lambda step, cancel: None
    ) -> None:
        self._before = before
        self.performed: list[str] = []
        self.inputs: dict[str, tuple[str, ...]] = {}
        self.sources: dict[str, tuple[str, ...]] = {}
        self.reissued: str | None = None  # the digest of a bundle that verification changed
        self.verification: dict[str, object] = {
            "ok": True,
            "where": "qemu",
            "max_abs_error": 1e-6,
            "outputs": [],
        }

    def perform(
        self,
        step: Step,
        *,
        inputs: Mapping[str, Path],
        sources: Mapping[str, Source],
        output: Path,
        log: Log,
        cancel: threading.Event,
    ) -> None:
        kind = type(step).__name__
        self.inputs[kind], self.sources[kind] = tuple(inputs), tuple(sources)
        log(f"{kind} at work")
        self._before(step, cancel)
        self.performed.append(kind)
        match step:
            case Assemble():
                (output / "assembly.json").write_text(json.dumps(_ASSEMBLY), encoding="utf-8")
            case Verify():
                text = json.dumps(self.verification)
                (output / "verification.json").write_text(text, encoding="utf-8")
                if self.reissued:
                    again = json.dumps(_ASSEMBLY | {"sha256": self.reissued})
                    (output / "assembly.json").write_text(again, encoding="utf-8")
            case _:
                (output / "artifact").write_text(kind, encoding="utf-8")


class FakePublisher:
    """The output folder as two dictionaries."""

    def __init__(self) -> None:
        self.published: dict[str, Receipt] = {}
        self.failed: dict[str, Receipt] = {}

    def is_current(self, model: str, target: str, key: str) -> Receipt | None:
        receipt = self.published.get(target)
        return receipt if receipt and (receipt.model, receipt.key) == (model, key) else None

    def bundle_path(self, model: str, target: str) -> Path:
        return Path("/dist") / model / target / "bundle"

    def last_good(self, model: str, target: str) -> LastGood | None:
        receipt = self.published.get(target)
        if receipt is None or receipt.bundle is None:
            return None
        return LastGood(
            path=receipt.bundle.path,
            sha256=receipt.bundle.sha256,
            key=receipt.key,
            published_utc="2026-01-01T00:00:00Z",
        )

    def publish(self, receipt: Receipt, assembled: Path) -> Path:
        assert (assembled / "assembly.json").exists()
        self.published[receipt.target] = receipt
        return self.bundle_path(receipt.model, receipt.target).parent

    def publish_failure(self, receipt: Receipt, evidence: Path | None = None) -> Path:
        self.failed[receipt.target] = receipt
        return self.bundle_path(receipt.model, receipt.target).parent

    def update_receipt(self, receipt: Receipt) -> None:
        self.published[receipt.target] = receipt


_ASSEMBLY = {
    "sha256": "c" * 64,
    "sizes": {"library": 600_000, "weights": 300_000, "archive": 700_000, "runner": 40_000},
    "arena_bytes": 4096,
    "audit": [],
}
