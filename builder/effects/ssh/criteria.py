"""Which blocks of an ssh_config file are about a host: ``Host`` and ``Match`` lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from builder.effects.ssh.directives import Directive, malformed
from builder.effects.ssh.patterns import matches

_ALONE = ("all", "canonical", "final")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a block is asked: is it about this host, as far as it is known by now?

    ``given`` is the host as written, ``host`` what it stands for so far, ``last`` whether the files
    are read for the second time, and ``succeeds`` runs the command of ``Match exec``.
    """

    given: str
    host: str
    user: str
    local_user: str
    tag: str
    last: bool
    succeeds: Callable[[str], bool]


def is_about(block: Directive, question: Question) -> bool:
    """Return whether the block that a ``Host`` or ``Match`` line opens is to be read."""
    if block.keyword == "host":
        return matches(block.words, question.given)
    # In order, and no further than the first that fails: a command behind it never runs.
    return all(
        _holds(kind, value, block.where, question) is not negated
        for kind, value, negated in _criteria(block)
    )


def asks_for_last(block: Directive) -> bool:
    """Return whether a ``Match`` line wants the files to be read a second time."""
    return block.keyword == "match" and any(kind == "final" for kind, _, _ in _criteria(block))


def _criteria(block: Directive) -> Iterator[tuple[str, str, bool]]:
    words = iter(block.words)
    for word in words:
        name, _, value = word.partition("=")
        kind = name.lower().removeprefix("!")
        if kind not in _ALONE and not value:
            value = next(words, "")
            if not value:
                raise malformed(block.where, f"Match {kind} needs a value")
        yield kind, value, name.startswith("!")


def _holds(kind: str, value: str, where: str, question: Question) -> bool:
    patterns = value.split(",")
    match kind:
        case "all":
            return True
        case "canonical" | "final":
            return question.last
        case "host":
            return matches(patterns, question.host)
        case "originalhost":
            return matches(patterns, question.given)
        case "user":
            return matches(patterns, question.user)
        case "localuser":
            return matches(patterns, question.local_user)
        case "tagged":
            return matches(patterns, question.tag)
        case "exec":
            return question.succeeds(value)
        case _:
            raise malformed(where, f"Match {kind} is not supported")
