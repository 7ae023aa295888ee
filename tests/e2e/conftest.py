"""Fixtures: the build cache, and the hand-written model of ``runtime_fixture``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.runtime_builds import WEIGHTS, Gcc, make_bundle


@pytest.fixture(scope="session")
def cache() -> Path:
    """One build cache for the whole session, kept between sessions: zig fills it slowly."""
    default = Path.home() / ".cache" / "boardwright-tests" / "build"
    return Path(os.environ.get("BOARDWRIGHT_TEST_CACHE", default))


@pytest.fixture(scope="session")
def gcc(tmp_path_factory: pytest.TempPathFactory) -> Gcc:
    return Gcc(folder=tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(WEIGHTS)
    return path


@pytest.fixture
def bundle(gcc: Gcc, tmp_path: Path) -> Path:
    return make_bundle(gcc, tmp_path / "bundle", "asan", "-O1")
