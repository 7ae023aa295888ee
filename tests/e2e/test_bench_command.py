"""``boardwright bench`` as a user runs it: exit codes, files, documents."""

from __future__ import annotations

import hashlib
import json
import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builder.boards.board import Board
from builder.boards.lock import hold
from builder.cli.app import run
from builder.effects.local_board import LocalBoard
from builder.effects.results import load_result
from tests.canned_runner import answer, asked, canned_bundle, first
from tests.e2e.runtime_builds import Gcc, make_bundle

SAMPLES = tuple(np.random.default_rng(1).lognormal(4.6, 0.02, 40).round(3))
SLOWER = tuple(value * 1.1 for value in SAMPLES)
QUICKLY = ("--threads", "1", "--seconds", "0.2", "--blocks", "4", "--allow-load", "1000")

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the bundles here are for x86-64"
)


@dataclass(frozen=True, kw_only=True)
class Done:
    """One run of the command: its exit code, and its document where ``--json`` was asked."""

    code: int
    document: dict[str, Any]

    @property
    def reason(self) -> str:
        return str(self.document["error"]["reason"])


Bench = Callable[..., Done]


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("BOARDWRIGHT_DEVICES", str(tmp_path / "devices.yaml"))

    def call(*arguments: str | Path) -> Done:
        code = run(["bench", *map(str, arguments), "--json"])
        return Done(code=code, document=json.loads(capsys.readouterr().out))

    return call


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Boards that are folders of this machine; ``put`` lays a release out as a deployment does."""

    folder: Path

    def add(self, *names: str) -> None:
        devices = [
            {"name": n, "target": "x86_64-linux", "host": "local", "root": str(self.folder / n)}
            for n in names
        ]
        (self.folder / "devices.yaml").write_text(json.dumps({"devices": devices}))

    def put(self, name: str, number: int, samples_us: tuple[float, ...]) -> str:
        root = self.folder / name
        for part in ("store", "releases", "locks", "results"):
            (root / part).mkdir(parents=True, exist_ok=True)
        made = canned_bundle(root / "new", samples_us, note=str(number))
        digest = hashlib.sha256((made / "manifest.json").read_bytes()).hexdigest()
        release = f"{number:08d}-canned-{digest[:16]}"
        made.rename(root / "releases" / release)
        (root / "current").unlink(missing_ok=True)
        (root / "current").symlink_to(f"releases/{release}")
        return release


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(folder=tmp_path)
    made.add("pi", "nano")
    return made


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return canned_bundle(tmp_path / "bundle", SAMPLES)


def test_a_result_is_saved_and_told(bench: Bench, bundle: Path) -> None:
    done = bench(bundle, *QUICKLY)
    assert (done.code, done.document["status"], done.document["error"]) == (0, "ok", None)
    [told] = done.document["measurements"]
    kept = load_result(Path(told["file"]))
    assert Path(told["file"]).parent == Path("results")
    assert (kept.status, kept.board.device, kept.subject.model) == ("valid", "local", "canned")
    assert [block.latency_us for block in kept.blocks] == [SAMPLES] * 4
    assert told["latency"]["median"]["value"] == pytest.approx(np.median(SAMPLES), rel=0.01)


def test_a_real_bundle_is_measured(bench: Bench, gcc: Gcc, tmp_path: Path) -> None:
    folder = make_bundle(gcc, tmp_path / "real", "none", "-O2")
    canned_bundle(tmp_path / "manifest", SAMPLES)
    (tmp_path / "manifest" / "manifest.json").rename(folder / "manifest.json")
    done = bench(folder, *QUICKLY, "--runs", "100")
    assert done.code == 0, done.document
    kept = load_result(Path(done.document["measurements"][0]["file"]))
    assert kept.latency is not None and kept.latency.p90 is not None
    assert kept.latency.samples >= 100
    assert len(kept.cold_start_us) == 10
    assert min(kept.cold_start_us) > kept.latency.median.value  # type: ignore[union-attr]
    assert kept.pace.cores and kept.blocks[0].before.boot_id
    assert [kernel.name for kernel in kept.kernels]
    assert kept.peak_rss_bytes


def test_an_invalid_run_is_saved_and_ends_with_10(bench: Bench, bundle: Path) -> None:
    first(bundle, "bench", "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done")
    done = bench(bundle, "--threads", "1", "--blocks", "3", "--allow-load", "0")
    assert (done.code, done.reason) == (10, "busy")
    [told] = done.document["measurements"]
    assert told["status"] == "invalid"
    assert load_result(Path(told["file"])).problems[0].reason == "busy"


def test_a_regression_ends_with_11(bench: Bench, bundle: Path, tmp_path: Path) -> None:
    slower = canned_bundle(tmp_path / "slower", SLOWER, note="slower")
    done = bench(slower, *QUICKLY, "--baseline", bundle, "--fail-on-regression", "5%")
    assert (done.code, done.reason) == (11, "slower")
    new, old = (load_result(Path(m["file"])) for m in done.document["measurements"])
    assert new.comparison is not None and new.comparison.verdict == "slower"
    assert new.comparison.change.value == pytest.approx(0.1, abs=1e-3)
    assert old.subject.sha256 != new.subject.sha256
    allowed = bench(slower, *QUICKLY, "--baseline", bundle, "--fail-on-regression", "20%")
    assert allowed.code == 0
    assert bench(bundle, *QUICKLY, "--baseline", slower, "--fail-on-regression", "0%").code == 0


def test_what_the_runner_is_asked_for(bench: Bench, bundle: Path) -> None:
    bench(bundle, "--cores", "0", "--runs", "8", "--seconds", "1", "--blocks", "4", "--warmup", "3",
          "--allow-load", "1000")  # fmt: skip
    assert "--bench --json --threads 1 --cores 0 --warmup 3 --runs 2 --min-seconds 0.25" in asked(
        bundle
    )


def test_a_failing_runner_is_a_refusal(bench: Bench, bundle: Path) -> None:
    first(bundle, "bench", "echo 'run: no' >&2; exit 3")
    done = bench(bundle, *QUICKLY)
    assert (done.code, done.reason) == (7, "runner-failed")


def test_a_report_without_sense_is_invalid(bench: Bench, bundle: Path) -> None:
    answer(bundle, "bench", {"latency_us": "soon"})
    done = bench(bundle, *QUICKLY)
    assert (done.code, done.reason) == (10, "bad-report")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("nowhere",), "no-bundle"),
        ((), "no-device"),
        (("bundle", "--device", "pi"), "usage"),
        (("bundle", "--fail-on-regression", "5%"), "no-baseline"),
        (("bundle", "--baseline", "bundle", "--fail-on-regression", "5"), "bad-percentage"),
        (("bundle", "--baseline", "nowhere"), "no-bundle"),
        (("bundle", "--cores", "3-1"), "bad-cores"),
        (("bundle", "--rivals", "none.onnx"), "no-model"),
        (("--rivals", "none.onnx"), "usage"),
        (("bundle", "--blocks", "2"), "usage"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    bench: Bench, bundle: Path, arguments: tuple[str, ...], reason: str
) -> None:
    done = bench(*arguments)
    assert (done.code, done.reason) == (2, reason)


def test_a_foreign_bundle_is_refused(bench: Bench, bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace("x86_64-linux", "jetson-nano"))
    done = bench(bundle, *QUICKLY)
    assert done.code == 2
    assert done.reason in ("foreign-bundle", "cannot-run")


def test_what_is_deployed_is_measured(bench: Bench, lab: Lab) -> None:
    release = lab.put("pi", 1, SAMPLES)
    done = bench("--device", "pi", *QUICKLY)
    assert done.code == 0, done.document
    [told] = done.document["measurements"]
    assert (told["board"]["device"], told["subject"]["release"]) == ("pi", release)


def test_one_device_that_fails_stops_no_other(bench: Bench, lab: Lab) -> None:
    lab.put("nano", 1, SAMPLES)
    done = bench("--device", "*", *QUICKLY)
    assert (done.code, done.reason) == (2, "nothing-deployed")
    assert [told["board"]["device"] for told in done.document["measurements"]] == ["nano"]


def test_a_release_on_the_board_is_a_baseline(bench: Bench, lab: Lab) -> None:
    old, new = lab.put("pi", 1, SAMPLES), lab.put("pi", 2, SLOWER)
    gate = ("--fail-on-regression", "5%", *QUICKLY)
    for reference in (old, old.partition("-")[2]):
        done = bench("--device", "pi", "--baseline", reference, *gate)
        assert (done.code, done.reason) == (11, "slower")
        assert [m["subject"]["release"] for m in done.document["measurements"]] == [new, old]


def test_a_saved_result_is_a_baseline_while_its_release_is_there(bench: Bench, lab: Lab) -> None:
    lab.put("pi", 1, SAMPLES)
    [told] = bench("--device", "pi", *QUICKLY).document["measurements"]
    lab.put("pi", 2, SLOWER)
    done = bench("--device", "pi", "--baseline", told["file"], *QUICKLY)
    assert done.code == 0, done.document
    assert done.document["measurements"][0]["comparison"]["verdict"] == "slower"
    lab.put("nano", 3, SLOWER)
    elsewhere = bench("--device", "nano", "--baseline", told["file"], *QUICKLY)
    assert (elsewhere.code, elsewhere.reason) == (2, "no-such-release")


def test_nobody_measures_on_a_board_that_is_held(bench: Bench, lab: Lab) -> None:
    lab.put("pi", 1, SAMPLES)
    board = Board(
        name="pi",
        transport=LocalBoard(),
        root=str(lab.folder / "pi"),
        nonce=lambda: "0123456789abcdef",
        cancel=threading.Event(),
    )
    with hold(board, "somebody@else"):
        done = bench("--device", "pi", *QUICKLY)
    assert (done.code, done.reason) == (8, "locked")
