"""A small matrix that tests begin from."""

from __future__ import annotations

BASE = """\
name: base
abstract: true
arch: aarch64
libc: {family: glibc}
cpu:
  mcpu: generic
  mattr: [+neon]
  cores: 4
  features: [asimd]
weights: file
toolchain: {image: "debian:bookworm-slim", packages: [qemu-user-static]}
emulator: {qemu: qemu-aarch64, cpu: cortex-a53, sysroot: /usr/aarch64-linux-gnu}
device: {machines: [aarch64], run_dir: ~/boardwright}
bench: {threads: [1, 4], warmup: 5, min_runs: 30}
"""

BOARD = """\
extends: base
name: board
description: A board
libc: {floor: "2.27"}
cpu: {mcpu: cortex-a57}
"""

MATRIX = {"base.yaml": BASE, "board.yaml": BOARD}


def with_board(text: str) -> dict[str, str]:
    """Return the matrix with another ``board.yaml``."""
    return {**MATRIX, "board.yaml": text}
