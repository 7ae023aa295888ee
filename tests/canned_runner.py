"""A bundle whose ``bin/run`` prints what a test says: times are stated, never measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builder.bundle.manifest import Manifest, Memory, dump_manifest
from builder.model.tensor import Signature

_RUN = """#!/bin/sh
here=${0%/*}
printf '%s\\n' "$*" >> "$here/asked"
case " $* " in
  *' --cold-start '*) answer=cold-start ;;
  *' --profile '*) answer=profile ;;
  *) answer=bench ;;
esac
[ ! -f "$here/$answer.sh" ] || . "$here/$answer.sh"
cat "$here/$answer.json"
"""
_ABOUT = {"model": "canned", "target": "x86_64-linux", "cpu": "any", "threads": 1}


def bench_report(samples_us: Sequence[float]) -> dict[str, Any]:
    """Return what ``--bench --json`` prints."""
    return {
        **_ABOUT,
        "latency_us": {"samples": list(samples_us)},
        "init_us": 250.0,
        "cpu_us": 1000.0,
        "peak_rss_bytes": 3 << 20,
    }


def canned_bundle(
    folder: Path, samples_us: Sequence[float], *, model: str = "canned", note: str = ""
) -> Path:
    """Make a bundle that always measures ``samples_us``; ``note`` makes it another bundle."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (programs / "run").write_text(_RUN, encoding="utf-8")
    (programs / "run").chmod(0o755)
    kernel = {"name": "conv", "nodes": ["/Conv_0", "/Relu_1"], "mean_us": 80.0, "share": 0.8}
    cold = {**_ABOUT, "cold_start_us": {"samples": [900.0, 800.0, 850.0]}}
    answer(folder, "bench", bench_report(samples_us))
    answer(folder, "cold-start", cold)
    answer(folder, "profile", {**_ABOUT, "kernels": [kernel]})
    manifest = Manifest(
        model=model,
        target="x86_64-linux",
        signature=Signature(inputs=(), outputs=()),
        memory=Memory(arena_bytes=1, weights_bytes=1),
        versions={"note": note},
        license="none",
        files={},
    )
    (folder / "manifest.json").write_text(dump_manifest(manifest), encoding="utf-8")
    return folder


def answer(folder: Path, mode: str, document: Any) -> None:
    """Let the runner print ``document`` when asked for ``mode``."""
    (folder / "bin" / f"{mode}.json").write_text(json.dumps(document), encoding="utf-8")


def first(folder: Path, mode: str, script: str) -> None:
    """Let the runner do ``script`` before it answers."""
    (folder / "bin" / f"{mode}.sh").write_text(f"{script}\n", encoding="utf-8")


def asked(folder: Path) -> list[str]:
    """Return the command lines that the runner has had."""
    return (folder / "bin" / "asked").read_text(encoding="utf-8").splitlines()
