"""The git adapter over real work trees."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builder.effects.git import changed_since, work_tree
from builder.errors import UsageError


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(("git", "-C", folder, *identity, *arguments), check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A work tree with a branch ``main``, and a branch ``work`` that has gone on."""
    root = tmp_path / "re po"
    root.mkdir()
    git(root, "init", "--initial-branch=main")
    (root / ".gitignore").write_text("ignored\n")
    for name in ("kept", "edited", "renamed", "removed"):
        (root / name).write_text(f"{name}\n" * 20)
    git(root, "add", ".")
    git(root, "commit", "-m", "one")
    git(root, "switch", "-c", "work")
    return root


def names(root: Path, reference: str = "main") -> set[str]:
    return {str(path.relative_to(root)) for path in changed_since(root, reference)}


def test_nothing_has_changed(tree: Path) -> None:
    assert names(tree) == set()


def test_every_kind_of_change_counts(tree: Path) -> None:
    git(tree, "mv", "renamed", "ne\nw näme")
    (tree / "edited").write_text("x")
    git(tree, "commit", "-a", "-m", "two")
    (tree / "removed").unlink()
    (tree / "untracked").write_text("x")
    (tree / "ignored").write_text("x")
    assert names(tree) == {"renamed", "ne\nw näme", "edited", "removed", "untracked"}


def test_what_the_reference_did_since_is_not_ours(tree: Path) -> None:
    git(tree, "switch", "main")
    (tree / "kept").write_text("x")
    git(tree, "commit", "-a", "-m", "theirs")
    git(tree, "switch", "work")
    assert names(tree) == set()


@pytest.mark.parametrize("reference", ["nowhere", "--output=evil", "", "main:kept"])
def test_an_unknown_reference_is_refused(tree: Path, reference: str) -> None:
    with pytest.raises(UsageError) as refused:
        changed_since(tree, reference)
    assert refused.value.reason == "unknown-ref"
    assert not (tree / "evil").exists()


def test_outside_a_work_tree(tmp_path: Path) -> None:
    assert work_tree(tmp_path) is None
    with pytest.raises(UsageError) as refused:
        changed_since(tmp_path, "main")
    assert refused.value.reason == "not-a-repository"


def test_the_root_of_a_folder_inside(tree: Path) -> None:
    (tree / "a" / "b").mkdir(parents=True)
    assert work_tree(tree / "a" / "b") == tree.resolve()
