"""The demo behind ``ci/demo``: one model, three boards, one table."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

MODEL = Path(__file__).parent / "models" / "digits.onnx"
INPUTS = Path(__file__).parent / "models" / "digits-inputs.npz"
TARGETS = ("x86_64-linux", "jetson-nano", "raspberry-pi-armv7")
BENCH = ("--bench", "--json", "--threads", "1", "--warmup", "20", "--runs", "200")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One target's receipt and, where the bundle could run here, its benchmark."""

    receipt: dict[str, Any]
    bench: dict[str, Any] | None


def main() -> int:
    """Build, run, print; return 0 when every bundle was built and none was wrong."""
    out = Path("dist")
    command = ["boardwright", "build", str(MODEL), "--inputs", str(INPUTS)]
    command += ["--toolchain", "local", "--out", str(out)]
    for target in TARGETS:
        command += ["--target", target]
    status = subprocess.run(command, check=False).returncode
    rows = [row(out / MODEL.stem / target) for target in TARGETS]
    Console().print(table(rows))
    if any(entry.bench is None for entry in rows):
        print("Some bundles could not run here; `boardwright doctor` says what would let them.")
    return status


def row(folder: Path) -> Row:
    """Read a target's receipt and run its bundle's own benchmark."""
    receipt = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    if receipt["status"] != "ok" or receipt["verify"]["where"] == "none":
        return Row(receipt=receipt, bench=None)
    done = subprocess.run(
        ["boardwright", "run", str(folder), "--", *BENCH],
        capture_output=True,
        text=True,
        check=False,
    )
    return Row(receipt=receipt, bench=json.loads(done.stdout) if done.returncode == 0 else None)


def table(rows: list[Row]) -> Table:
    """Return the rows as a table for people."""
    made = Table(
        title=f"{MODEL.name}, built and run here",
        caption="Under qemu a latency says that it runs, not how fast a board is.",
    )
    for heading in ("target", "library", "archive", "max error", "latency", "ran"):
        side = "left" if heading in ("target", "ran") else "right"
        made.add_column(heading, justify=side, no_wrap=True)
    for entry in rows:
        receipt = entry.receipt
        if receipt["status"] != "ok":
            made.add_row(receipt["target"], "failed")
            continue
        sizes, verify = receipt["sizes"], receipt["verify"]
        error = verify["max_abs_error"]
        made.add_row(
            receipt["target"],
            f"{sizes['library'] / 1000:.0f} kB",
            f"{sizes['archive'] / 1000:.0f} kB",
            "not checked" if error is None else f"{error:.1e}",
            "-" if entry.bench is None else f"{entry.bench['latency_us']['median'] / 1000:.2f} ms",
            {"native": "natively", "qemu": "under qemu"}.get(verify["where"], "nowhere"),
        )
    return made


if __name__ == "__main__":
    sys.exit(main())
