from __future__ import annotations

import pytest

from builder import matrix
from builder.errors import UsageError
from tests.unit.matrix.samples import BOARD, MATRIX

PAIR = {**MATRIX, "other-board.yaml": BOARD.replace("name: board", "name: other-board")}


def test_bases_are_not_listed() -> None:
    assert matrix.names(PAIR) == ("board", "other-board")


def test_a_broken_file_is_listed_so_that_using_it_can_say_why() -> None:
    texts = {**PAIR, "broken.yaml": "a: ["}
    assert matrix.names(texts) == ("board", "broken", "other-board")
    with pytest.raises(UsageError) as caught:
        matrix.select(texts, ["broken"])
    assert caught.value.reason == "yaml-syntax"


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["board"], ("board",)),
        (["other-*", "board"], ("other-board", "board")),
        (["*"], ("board", "other-board")),
        (["*board", "board"], ("board", "other-board")),
        (["[bo]*"], ("board", "other-board")),
        ([], ()),
    ],
)
def test_targets_come_once_in_the_order_of_the_patterns(
    patterns: list[str], names: tuple[str, ...]
) -> None:
    assert tuple(target.name for target in matrix.select(PAIR, patterns)) == names


def test_an_exact_name_does_not_read_the_other_files() -> None:
    texts = {**PAIR, "broken.yaml": "a: ["}
    assert [target.name for target in matrix.select(texts, ["board"])] == ["board"]


@pytest.mark.parametrize("pattern", ["bord", "bord*", "", "BOARD", "../board", "base*"])
def test_what_matches_nothing_is_refused_with_what_there_is(pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        matrix.select(PAIR, [pattern])
    assert caught.value.reason == "unknown-target"
    assert caught.value.details["targets"] == ["board", "other-board"]


def test_a_misspelled_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        matrix.select(PAIR, ["bord"])
    assert "'board'" in (caught.value.remedy or "")


def test_a_base_cannot_be_selected() -> None:
    with pytest.raises(UsageError) as caught:
        matrix.select(PAIR, ["base"])
    assert caught.value.reason == "abstract-target"
