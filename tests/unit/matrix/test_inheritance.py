from __future__ import annotations

import pytest

from builder.errors import UsageError
from builder.matrix.inheritance import by_name, resolve
from builder.matrix.tree import find, key_mark, plain


def refusal(texts: dict[str, str], name: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        resolve(by_name(texts), name)
    return caught.value


def test_mappings_merge_and_everything_else_replaces() -> None:
    texts = {
        "a.yaml": "m: {x: 1, y: {z: 2}}\nl: [1, 2]\ns: {t: 1}\n",
        "b.yaml": "extends: a\nm: {y: {w: 3}}\nl: [3]\ns: null\n",
    }
    assert plain(resolve(by_name(texts), "b")) == {
        "extends": "a",
        "m": {"x": 1, "y": {"z": 2, "w": 3}},
        "l": [3],
        "s": None,
    }


def test_a_lineage_may_be_long_and_the_nearest_wins() -> None:
    texts = {
        "a.yaml": "v: 1\nw: 1\nx: 1\n",
        "b.yaml": "extends: a\nw: 2\nx: 2\n",
        "c.yaml": "extends: b\nx: 3\n",
    }
    assert plain(resolve(by_name(texts), "c")) == {"extends": "b", "v": 1, "w": 2, "x": 3}


def test_what_a_file_says_about_itself_is_not_inherited() -> None:
    texts = {"a.yaml": "name: a\nabstract: true\nv: 1\n", "b.yaml": "extends: a\n"}
    assert plain(resolve(by_name(texts), "b")) == {"extends": "a", "v": 1}


def test_nodes_keep_the_position_of_the_file_that_wrote_them() -> None:
    texts = {"a.yaml": "m:\n  x: 1\n  y: 2\n", "b.yaml": "extends: a\nm:\n  y: 3\n"}
    root = resolve(by_name(texts), "b")
    kept, replaced = find(root, ("m", "x")), find(root, ("m", "y"))
    assert kept is not None
    assert replaced is not None
    assert (str(kept.mark), str(replaced.mark)) == ("a.yaml:2:6", "b.yaml:3:6")
    assert str(key_mark(root, ("m",))) == "b.yaml:2:1"


def test_a_cycle_is_refused_where_it_closes() -> None:
    texts = {"a.yaml": "extends: b\n", "b.yaml": "extends: c\n", "c.yaml": "extends: a\n"}
    error = refusal(texts, "a")
    assert (error.reason, error.where) == ("extends-cycle", "c.yaml:1:10")


def test_a_target_cannot_extend_itself() -> None:
    error = refusal({"a.yaml": "extends: a\n"}, "a")
    assert (error.reason, error.where) == ("extends-cycle", "a.yaml:1:10")


def test_an_unknown_parent_is_named_with_the_nearest_one() -> None:
    error = refusal({"base.yaml": "v: 1\n", "a.yaml": "v: 1\nextends: bese\n"}, "a")
    assert (error.reason, error.where) == ("unknown-parent", "a.yaml:2:10")
    assert "'base'" in (error.remedy or "")


@pytest.mark.parametrize("extends", ["[a, b]", "{a: b}", "3", "true"])
def test_a_target_has_one_parent(extends: str) -> None:
    error = refusal({"a.yaml": f"extends: {extends}\n"}, "a")
    assert (error.reason, error.where) == ("wrong-type", "a.yaml:1:10")


@pytest.mark.parametrize("extends", ["extends: null\n", "extends:\n", ""])
def test_a_target_may_have_none(extends: str) -> None:
    assert find(resolve(by_name({"a.yaml": f"v: 1\n{extends}"}), "a"), ("v",)) is not None


def test_a_fault_of_a_parent_is_reported_in_the_parent() -> None:
    error = refusal({"a.yaml": "v: 1\nv: 2\n", "b.yaml": "extends: a\n"}, "b")
    assert (error.reason, error.where) == ("yaml-duplicate-key", "a.yaml:2:1")


def test_files_outside_the_lineage_are_not_read() -> None:
    texts = {"a.yaml": "v: 1\n", "broken.yaml": "[", "other.txt": "\x00"}
    assert plain(resolve(by_name(texts), "a")) == {"v": 1}


def test_names_are_file_names_and_the_later_file_wins() -> None:
    files = by_name({"built-in/a.yaml": "v: 1\n", "mine/a.yaml": "v: 2\n", "schema.json": "{}"})
    assert {name: file.file for name, file in files.items()} == {"a": "mine/a.yaml"}
