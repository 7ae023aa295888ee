"""A client to be killed: ``python -m tests.e2e.boards.client BOARDS DEVICE ROOT BUNDLE``.

Prints each stage as it is reached, and ``done`` at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from builder.boards.bundle import read_bundle
from builder.model.deployed import BoardEvent, Reached
from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import BoardSet


def main(folder: str, device: str, root: str, bundle: str) -> None:
    """Deploy once."""

    def tell(event: BoardEvent) -> None:
        if isinstance(event, Reached):
            print(event.stage, flush=True)

    with Bench.on(BoardSet(folder=Path(folder)), device, "unused") as bench:
        bench.root = Path(root)
        bench.deploy(read_bundle(Path(bundle)), listen=tell, wait_s=10)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
