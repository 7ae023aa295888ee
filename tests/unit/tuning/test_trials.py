from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from builder.model.tuning import Contest, Finding, TunedTile
from builder.tuning.judging import FINAL_ROUNDS, HEATS, clearly_faster
from builder.tuning.trials import Times, best, challengers, findings, load_shortlist, trials

CPU = "cortex-a57+neon"
TALL = Contest(kernel="aa", description="conv", tiles=((1, 8), (1, 7), (2, 4)), calls=("a", "b"))
FLAT = Contest(kernel="bb", description="matmul", tiles=((12,), (8,)), calls=("c",))


def tile(contest: Contest, place: int) -> TunedTile:
    return TunedTile(kernel=contest.kernel, cpu=CPU, tile=contest.tiles[place])


def rounds(number: int, tall_us: float, flat_us: float = 5.0) -> list[Times]:
    return [{"aa": tall_us, "bb": flat_us}] * number


def told(heats: dict[int, list[Times]], finals: dict[int, list[Times]]) -> dict[str, Finding]:
    contests = [TALL, FLAT]
    fastest = best(contests, heats)
    made = findings(contests, CPU, fastest, heats | finals)
    return {finding.kernel: finding for finding in made}


def test_a_shortlist_is_read_as_it_is_written() -> None:
    text = json.dumps([asdict(TALL), asdict(FLAT)])
    assert load_shortlist(text) == (TALL, FLAT)


def test_each_trial_takes_the_next_tile_of_every_kernel_that_has_one() -> None:
    assert trials([TALL, FLAT], CPU) == [
        (),
        (tile(TALL, 1), tile(FLAT, 1)),
        (tile(TALL, 2),),
    ]


def test_the_fastest_of_the_heats_race_once_more() -> None:
    heats = {0: rounds(HEATS, 9.0), 1: rounds(HEATS, 9.5), 2: rounds(HEATS, 8.0)}
    fastest = best([TALL, FLAT], heats)
    assert fastest == {"aa": 2, "bb": 0}
    assert challengers(fastest) == [0, 2]
    assert challengers({"aa": 0}) == []


def test_a_kernel_is_no_trial_that_it_has_no_tile_for() -> None:
    heats = {0: rounds(HEATS, 9.0), 1: rounds(HEATS, 9.0), 2: rounds(HEATS, 9.0, flat_us=0.1)}
    assert best([TALL, FLAT], heats)["bb"] == 0


def test_a_winner_is_found_with_both_times() -> None:
    heats = {0: rounds(HEATS, 9.0), 1: rounds(HEATS, 8.5), 2: rounds(HEATS, 9.5)}
    found = told(heats, {0: rounds(FINAL_ROUNDS, 10.0), 1: rounds(FINAL_ROUNDS, 8.0)})
    assert (found["aa"].tile, found["aa"].usual) == ((1, 7), (1, 8))
    assert (found["aa"].tile_us, found["aa"].usual_us) == (8.0, 10.0)
    assert (found["bb"].tile, found["bb"].usual_us) == ((12,), 5.0)


def test_luck_in_the_heats_does_not_win() -> None:
    heats = {0: rounds(HEATS, 9.0), 1: rounds(HEATS, 7.0), 2: rounds(HEATS, 9.5)}
    found = told(heats, {0: rounds(FINAL_ROUNDS, 9.0), 1: rounds(FINAL_ROUNDS, 8.9)})
    assert found["aa"].tile == found["aa"].usual


@pytest.mark.parametrize(
    ("challenger", "is_faster"),
    [
        ([9.0] * 11, True),
        ([9.0] * 9 + [11.0] * 2, True),
        ([9.0] * 8 + [11.0] * 3, False),
        ([9.8] * 11, False),
        ([10.0] * 11, False),
    ],
)
def test_faster_is_by_three_percent_in_nine_rounds(
    challenger: list[float], is_faster: bool
) -> None:
    assert clearly_faster(challenger, [10.0] * 11) is is_faster
