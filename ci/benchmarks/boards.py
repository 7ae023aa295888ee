"""What deploying costs beside sending: changing nothing, its overhead, a long inventory."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from builder.boards.board import Board
from builder.boards.bundle import read_needs
from builder.boards.lock import hold
from builder.boards.survey import probe
from builder.cli.installation import read_matrix
from builder.deploy.preflight import Needs, refuse_unfit
from builder.matrix import load
from ci.benchmarks.transport import reach, server, ssh_config, timed_s

MODEL = Path(__file__).parents[1] / "models" / "digits.onnx"
TARGET = "x86_64-linux"
DEVICES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was timed: seconds of each turn, and the median that it must not exceed."""

    name: str
    bound_s: float
    turns_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return statistics.median(self.turns_s)

    @property
    def holds(self) -> bool:
        return self.median_s <= self.bound_s


def main() -> int:
    """Measure; return 0 when every median keeps to its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not shutil.which("ssh-keygen"):
        raise SystemExit("install openssh-client: there is no ssh-keygen")
    with tempfile.TemporaryDirectory() as name:
        figures = measure(Path(name), options.turns)
    Console().print(table(figures))
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0 if all(figure.holds for figure in figures) else 1


def measure(work: Path, turns: int) -> list[Figure]:
    """Return the figures, taken on a board that is this machine behind an sshd of its own."""
    bundle = build(work / "dist")
    with server(work) as port:
        config = ssh_config(work, port)
        environ = write_devices(work, config)
        again = ("deploy-remote", "--device", "board", "--bundle", str(bundle), "--json")
        call(environ, *again)
        return [
            timed("deployment that changes nothing", 2.0, turns, lambda: call(environ, *again)),
            overhead(config, bundle, work / "root", turns),
            timed(
                f"devices list, of {DEVICES}", 0.5, turns, lambda: call(environ, "devices", "list")
            ),
        ]


def build(out: Path) -> Path:
    """Build a small model for this machine; return the bundle's folder."""
    chosen = ("--target", TARGET, "--toolchain", "local", "--out", str(out), "--name", "digits")
    call(os.environ, "build", str(MODEL), *chosen)
    return out / "digits" / TARGET / "bundle"


def write_devices(work: Path, config: Path) -> Mapping[str, str]:
    """List the board among a thousand others; return the environment in which they are known."""
    board = {"name": "board", "target": TARGET, "host": "board", "root": str(work / "root")}
    others = [
        {"name": f"shelf-{n}", "target": "jetson-nano", "host": f"10.0.{n // 250}.{n % 250}"}
        for n in range(DEVICES - 1)
    ]
    # YAML, of which JSON is a part.
    (work / "devices.yaml").write_text(json.dumps({"devices": [board, *others]}, indent=1))
    return {
        **os.environ,
        "BOARDWRIGHT_DEVICES": str(work / "devices.yaml"),
        "BOARDWRIGHT_SSH_CONFIG": str(config),
    }


def overhead(config: Path, bundle: Path, root: Path, turns: int) -> Figure:
    """Time the preflight, and taking and giving back the lock, over a connection that is open."""
    needs = read_needs(bundle, load(read_matrix(()), TARGET))
    with reach(config) as transport:
        board = Board(
            name="board",
            transport=transport,
            root=str(root),
            nonce=lambda: secrets.token_hex(8),
            cancel=threading.Event(),
        )
        return timed("preflight and lock", 1.0, turns, lambda: may_begin(board, needs))


def may_begin(board: Board, needs: Needs) -> None:
    """Do what a deployment does before it begins."""
    refuse_unfit(probe(board), needs, where=board.name)
    with hold(board, "bench@here"):
        pass


def timed(name: str, bound_s: float, turns: int, way: Callable[[], object]) -> Figure:
    """Return how long ``way`` takes, having done it once before."""
    way()
    return Figure(name=name, bound_s=bound_s, turns_s=tuple(timed_s(way) for _ in range(turns)))


def call(environ: Mapping[str, str], *arguments: str) -> None:
    """Run boardwright as a user does."""
    command = (sys.executable, "-m", "builder", *arguments)
    subprocess.run(command, env=dict(environ), check=True, stdout=subprocess.DEVNULL)


def table(figures: list[Figure]) -> Table:
    """Return the figures as a table for people."""
    made = Table(title="Boards over loopback, in seconds")
    for heading in ("what", "median", "fastest", "slowest", "bound", ""):
        made.add_column(heading, justify="left" if heading in ("what", "") else "right")
    for figure in figures:
        ends = (figure.median_s, min(figure.turns_s), max(figure.turns_s), figure.bound_s)
        verdict = "holds" if figure.holds else "MISSED"
        made.add_row(figure.name, *(f"{end:.2f}" for end in ends), verdict)
    return made


if __name__ == "__main__":
    sys.exit(main())
