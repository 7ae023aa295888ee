"""Boards that lie: other keys, endless and garbled output, planted links, clocks gone wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from builder.boards.survey import probe
from builder.errors import DeviceRefused, HostNotTrusted
from tests.bundles import make_bundle, some_weights
from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import HOME, ROOT, BoardSet, SimulatedBoard

pytestmark = pytest.mark.slow

PEAK = """
import json, resource, sys, threading
from pathlib import Path
from builder.errors import BoardwrightError
from tests.bundles import make_bundle
from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import BoardSet

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

bundle = make_bundle(Path(sys.argv[2]), "word")
before = reason = None
try:
    with Bench.on(BoardSet(folder=Path(sys.argv[1])), "lab", "hostile") as bench:
        before = peak()
        bench.deploy(bundle)
except BoardwrightError as failure:
    reason = failure.reason
print(json.dumps({"reason": reason, "grown_bytes": peak() - (before or peak())}))
"""


def refused_bytes(boards: BoardSet, folder: Path) -> tuple[str, int]:
    """Deploy in a process of its own; return why that failed and what memory it took."""
    done = subprocess.run(
        (sys.executable, "-c", PEAK, str(boards.folder), str(folder)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["reason"], told["grown_bytes"]


@pytest.mark.parametrize(
    ("command", "reasons"),
    [
        ("yes", {"endless-output"}),
        ("cat /dev/zero >&2", {"endless-output"}),
        ("head -c 65536 /dev/urandom", {"garbled-output"}),
        ("printf '\\033]0;owned\\007'", {"garbled-output"}),
        ("true", {"garbled-output"}),
    ],
)
def test_output_that_is_no_answer(
    boards: BoardSet, lab: SimulatedBoard, tmp_path: Path, command: str, reasons: set[str]
) -> None:
    with lab.server_says(f"ForceCommand {command}"):
        reason, grown_bytes = refused_bytes(boards, tmp_path / "bundle")
    assert reason in reasons
    assert grown_bytes < 64 << 20


def test_a_changed_host_key_stops_before_authentication(
    boards: BoardSet, lab: SimulatedBoard, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key), check=True)
    lab.path("/etc/ssh/other_key").write_bytes(key.read_bytes())
    lab.path("/etc/ssh/other_key").chmod(0o600)
    config = lab.path("/etc/ssh/sshd_config")
    before = config.read_text()
    try:
        config.write_text(before.replace("/etc/ssh/host_key", "/etc/ssh/other_key"))
        with lab.server_says("LogLevel DEBUG1"):
            said = len(lab.log)
            with pytest.raises(HostNotTrusted) as refused, boards.connected("lab"):
                pass
            attempts = re.findall("userauth|publickey|Accepted|Failed", lab.log[said:])
    finally:
        config.write_text(before)
        with lab.server_says():
            pass
    assert attempts == []
    assert refused.value.exit_code == 9
    assert str(refused.value).count("SHA256:") == 2


SECRET = "not for boardwright"


@pytest.mark.parametrize("place", ["", "store", "releases", "locks", "results"])
def test_a_link_in_place_of_a_folder(bench: Bench, tmp_path: Path, place: str) -> None:
    bench.deploy(make_bundle(tmp_path / "old", "old"))
    victim = HOME / "victim"
    bench.simulated.inside("rm", "-rf", victim, bench.root / place)
    bench.simulated.inside("install", "-d", "-o", "board", "-g", "board", victim)
    bench.simulated.inside("ln", "-s", victim, bench.root / place)
    with pytest.raises(DeviceRefused) as refused:
        bench.deploy(make_bundle(tmp_path / "new", "new"))
    assert refused.value.reason == "planted-link"
    assert list(bench.simulated.path(victim).iterdir()) == []


def test_a_link_in_place_of_an_upload(bench: Bench, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", "one", weights=some_weights(1 << 20))
    secret = bench.simulated.path(HOME / "secret")
    secret.write_text(SECRET)
    bench.simulated.inside("chown", "board", HOME / "secret")
    bench.deploy(make_bundle(tmp_path / "old", "old"))
    weights = next(file for file in bundle.files if file.path == "share/weights.bin")
    parts = [f".part-{weights.sha256}", weights.sha256, f".new-{weights.sha256}"]
    for part in parts:
        bench.simulated.inside("ln", "-s", HOME / "secret", bench.root / "store" / part)
    try:
        bench.deploy(bundle)
    except DeviceRefused as failure:
        assert failure.reason == "planted-link"
    assert secret.read_text() == SECRET


@pytest.mark.parametrize("target", ["/etc", "../../victim", "releases/../../victim", "nowhere"])
def test_a_current_that_leads_astray(bench: Bench, tmp_path: Path, target: str) -> None:
    bench.deploy(make_bundle(tmp_path / "old", "old"))
    bench.simulated.inside("ln", "-sfn", target, bench.root / "current")
    with pytest.raises(DeviceRefused) as refused:
        bench.deploy(make_bundle(tmp_path / "new", "new"))
    assert refused.value.reason == "planted-link"


FAKE_TIME = (
    "SetEnv LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 "
    "FAKETIME=1970-01-01_00:00:07 FAKETIME_FMT=%Y-%m-%d_%H:%M:%S"
)


def test_a_clock_at_1970(boards: BoardSet, lab: SimulatedBoard, tmp_path: Path) -> None:
    old, new, newer = (make_bundle(tmp_path / word, word) for word in ("old", "new", "newer"))
    with lab.server_says(FAKE_TIME), Bench.on(boards, "lab", "clock-1970") as bench:
        assert (probe(bench.board).date or "").startswith("1970-01-01T00:00:0")
        bench.deploy(old)
        assert bench.deploy(new).previous is not None
        assert bench.runs() == new.id
    with Bench.on(boards, "lab", "clock-1970") as bench:
        bench.deploy(newer)
        assert bench.runs() == newer.id
