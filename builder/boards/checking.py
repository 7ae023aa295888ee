"""Does a release compute on the board what it should? Its own ``bin/run --check`` says."""

from __future__ import annotations

from builder.boards.board import Board
from builder.deploy.verdict import refuse_failed

CHECK_S = 900.0
"""Seconds that a check may take: a large model on a small board runs once."""


def check_release(board: Board, root: str, name: str) -> None:
    """Run the check of a release. Raises what ``refuse_failed`` does."""
    completed = board.run((f"{root}/releases/{name}/bin/run", "--check"), timeout_s=CHECK_S)
    refuse_failed(completed.status, completed.stderr or completed.stdout, where=board.name)


def damaged(board: Board, name: str, expected: dict[str, str]) -> tuple[str, ...]:
    """Return the files of a release that are not what they should be; ``expected`` is by path.

    Empty where the board cannot hash.
    """
    base = f"../releases/{name}"
    replies = board.ask("hash", *(f"{base}/{path}" for path in expected), timeout_s=CHECK_S)
    hashes = dict(value.rpartition(" ")[::2] for value in replies.all("hash"))
    if not hashes:
        return ()
    return tuple(path for path, sha in expected.items() if hashes.get(f"{base}/{path}") != sha)
