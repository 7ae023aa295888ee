from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.effects.parsed import ParsedValues, thaw
from builder.model.binding import Binding
from builder.model.device import Device
from builder.model.project import Project
from builder.model.target import Target
from tests.nouns import a_pc, a_target

PROJECT = Project(
    model="m.onnx",
    name=None,
    binding=Binding(shapes=(("x", (1, 3)),)),
    frozen_file=None,
    targets=("jetson-nano",),
    out="dist",
    inputs=None,
    devices=(Device(name="b", target="t", host="h", root=None, tags=("a", "b")),),
)


class Parser:
    """Counts how often it was asked."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.value


def memory(folder: Path, parser: str = "1") -> ParsedValues:
    return ParsedValues(folder, parser=parser)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(tuple[Target, ...], (a_target(), a_pc())), (tuple[Target, ...], ()), (Project, PROJECT)],
)
def test_a_value_comes_back_as_it_was(tmp_path: Path, kind: Any, value: Any) -> None:
    parser = Parser(value)
    again = [memory(tmp_path).get(kind, "text", parser) for _ in range(2)]
    assert again == [value, value]
    assert parser.calls == 1


def test_other_texts_and_other_parsers_are_asked_again(tmp_path: Path) -> None:
    parser = Parser(PROJECT)
    memory(tmp_path).get(Project, "text", parser)
    memory(tmp_path).get(Project, "other text", parser)
    memory(tmp_path, "2").get(Project, "text", parser)
    assert parser.calls == 3


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"null", b"\xff", b'{"model": '])
def test_a_damaged_record_is_no_record(tmp_path: Path, damage: bytes) -> None:
    memory(tmp_path).get(Project, "text", Parser(PROJECT))
    [record] = (tmp_path / "memo" / "parsed").iterdir()
    record.write_bytes(damage)
    assert memory(tmp_path).get(Project, "text", Parser(PROJECT)) == PROJECT


def test_a_failure_is_not_remembered(tmp_path: Path) -> None:
    def fail() -> Project:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        memory(tmp_path).get(Project, "text", fail)
    assert not (tmp_path / "memo").exists()


def test_without_a_folder_it_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "memo").write_text("a file in the way", encoding="utf-8")
    assert memory(tmp_path).get(Project, "text", Parser(PROJECT)) == PROJECT


def test_the_folder_does_not_grow_for_ever(tmp_path: Path) -> None:
    for number in range(70):
        memory(tmp_path).get(Project, number, Parser(PROJECT))
    assert len(list((tmp_path / "memo" / "parsed").iterdir())) == 64


def test_content_of_another_shape_is_refused() -> None:
    with pytest.raises((KeyError, TypeError)):
        thaw(Project, json.loads('{"model": "m"}'))
    with pytest.raises((KeyError, TypeError, ValueError)):
        thaw(tuple[int, int], [1])
