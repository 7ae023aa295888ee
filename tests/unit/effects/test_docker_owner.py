"""A container is abandoned when its owner is dead, or too far away to ask and a day old."""

from __future__ import annotations

import dataclasses

import pytest

from builder.effects.docker_owner import (
    FOREIGN_LIFETIME_S,
    Labelled,
    Owner,
    abandoned,
    is_alive,
    this_process,
)

NOW_S = 1_000_000.0


def is_abandoned(owner: Owner | None, *, age_s: float) -> bool:
    labelled = Labelled(container="c", owner=owner, created_s=NOW_S - age_s)
    return abandoned(labelled, me=this_process(), now_s=NOW_S)


def test_a_label_is_read_back() -> None:
    assert Owner.from_label(this_process().to_label()) == this_process()


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"pid": 1}', "7"])
def test_a_label_of_something_else_has_no_owner(text: str) -> None:
    assert Owner.from_label(text) is None


def test_this_process_is_alive() -> None:
    assert is_alive(this_process())
    assert not is_abandoned(this_process(), age_s=10 * FOREIGN_LIFETIME_S)


def test_a_number_given_out_again_is_another_process() -> None:
    former = dataclasses.replace(this_process(), started="1")
    assert is_abandoned(former, age_s=0)


def test_a_process_that_is_gone_leaves_its_container() -> None:
    gone = dataclasses.replace(this_process(), pid=2**22 + 1)  # above the kernel's largest pid_max
    assert is_abandoned(gone, age_s=0)


@pytest.mark.parametrize("elsewhere", ["host", "boot", "namespace"])
def test_what_cannot_be_seen_is_left_a_day(elsewhere: str) -> None:
    foreign = dataclasses.replace(this_process(), pid=2**22 + 1, **{elsewhere: "another"})
    assert not is_abandoned(foreign, age_s=FOREIGN_LIFETIME_S - 1)
    assert is_abandoned(foreign, age_s=FOREIGN_LIFETIME_S + 1)


def test_a_container_without_a_readable_owner_is_left_a_day() -> None:
    assert not is_abandoned(None, age_s=1)
    assert is_abandoned(None, age_s=FOREIGN_LIFETIME_S + 1)
