"""Pattern lists of ssh_config and known_hosts."""

from __future__ import annotations

import pytest

from builder.effects.ssh.patterns import matches


@pytest.mark.parametrize(
    ("patterns", "name", "found"),
    [
        (["*"], "board", True),
        (["board"], "board", True),
        (["board"], "boards", False),
        (["bo?rd"], "board", True),
        (["bo?rd"], "bord", False),
        (["*.lab", "!bad.lab"], "good.lab", True),
        (["*.lab", "!bad.lab"], "bad.lab", False),
        (["!bad.lab", "*.lab"], "bad.lab", False),
        (["!other"], "board", False),
        (["[10.0.0.*]:2222"], "[10.0.0.7]:2222", True),
        (["[ab]"], "a", False),
        (["a.c"], "abc", False),
        ([], "board", False),
    ],
)
def test_match(patterns: list[str], name: str, found: bool) -> None:
    assert matches(patterns, name) is found
