"""Where the program's own files lie: a clone keeps them beside the package, a wheel inside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def package_root() -> Path:
    """Return the folder of the ``builder`` package."""
    return Path(__file__).resolve().parent


def templates_root() -> Path:
    """Return the folder of the templates that bundles and images are rendered from."""
    return _shipped("templates")


def ci_templates_root() -> Path:
    """Return the folder of the templates that CI files are rendered from."""
    installed = package_root() / "_data" / "ci"
    return installed if installed.is_dir() else package_root().parent / "ci" / "templates"


def tuning_root() -> Path:
    """Return the folder of the tuning records that ship with the program."""
    return targets_root() / "tuning"


def targets_root() -> Path:
    """Return the folder of the target matrix that ships with the program."""
    return _shipped("targets")


@cache
def _shipped(name: str) -> Path:
    installed = package_root() / "_data" / name
    return installed if installed.is_dir() else package_root().parent / name
