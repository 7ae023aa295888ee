"""Fixtures: the boards of ``ci/boards``, started once a session, and what is deployed to them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import BoardSet, SimulatedBoard, call, why_none

FULL = bool(os.environ.get("BOARDWRIGHT_FULL_INJECTIONS"))
"""Whether loops over random faults run at their full length (an hour) or shortened."""


NO_PACKAGES = 3


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardSet]:
    """Give a set of boards of this session's own."""
    if missing := why_none():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("boards")
    started = call("up", folder=folder)
    try:
        if started.returncode == NO_PACKAGES:
            pytest.skip(f"Debian's packages cannot be had: {started.stderr[-200:]}")
        assert started.returncode == 0, started.stderr
        yield BoardSet(folder=folder)
    finally:
        call("down", folder=folder)


@pytest.fixture(scope="session")
def lab(boards: BoardSet) -> SimulatedBoard:
    """The x86-64 board, whose link, disk and server tests break."""
    return boards["lab"]


@pytest.fixture
def bench(boards: BoardSet, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Give a folder of its own on the x86-64 board, over a connection of its own."""
    with Bench.on(boards, "lab", request.node.name) as bench:
        yield bench


@pytest.fixture
def dice() -> random.Random:
    """Random faults are the same in each run."""
    return random.Random(20261121)


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How often a fault is injected: the marker's ``full`` or ``short`` argument."""
    marker = request.node.get_closest_marker("injections")
    assert marker is not None
    return int(marker.kwargs["full" if FULL else "short"])
