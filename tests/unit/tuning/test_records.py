from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from builder.errors import UsageError
from builder.model.tuning import Finding, heard
from builder.tuning import records
from builder.tuning.records import merged, parse, record_from, render
from builder.tuning.selection import compiler_name, known, tuned_tiles
from tests.nouns import a_record, a_target

CPU = a_target().cpu
DEEP = f"tuned {'[' * 100_000}"


def spoilt(**fields: Any) -> bytes:
    document = json.loads(render([a_record()]))
    document["records"][0].update(fields)
    return json.dumps(document).encode()


def test_what_is_written_is_read() -> None:
    written = (a_record("00"), a_record("01", cpu="znver4"))
    assert parse(render(written), "f") == written
    assert parse(render(()), "f") == ()


def test_the_order_of_writing_is_not_that_of_measuring() -> None:
    assert render([a_record("01"), a_record("00")]) == render([a_record("00"), a_record("01")])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{" * 100_000,
        b"[" * 100_000,
        b"\xff\xfe{}",
        b'{"format": 1}',
        b'{"format": 1, "records": {}}',
        b'{"format": 1, "records": [null]}',
        b'{"format": true, "records": []}',
        spoilt(tile="1x7x2"),
        spoilt(tile=[]),
        spoilt(tile=[1, 0, 2]),
        spoilt(tile=[1, -7, 2]),
        spoilt(tile=[1.5, 7, 2]),
        spoilt(tile=[10**400]),
        spoilt(kernel=7),
        spoilt(tile_us=float("nan")),
        spoilt(usual_us=-1.0),
        spoilt(usual_us=None),
    ],
)
def test_anything_else_is_one_clear_failure(text: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "tuning/x.json")
    assert (caught.value.reason, caught.value.where) == ("records-malformed", "tuning/x.json")
    assert "\n" not in str(caught.value)


def test_another_format_is_told_from_nonsense() -> None:
    with pytest.raises(UsageError) as caught:
        parse(b'{"format": 2, "records": []}', "f")
    assert caught.value.reason == "records-format"


def test_a_file_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LARGEST_BYTES", 100)
    with pytest.raises(UsageError) as caught:
        parse(render([a_record()]), "f")
    assert caught.value.reason == "records-malformed"


def test_a_new_record_takes_the_place_of_an_old_one() -> None:
    old, new = a_record(tile=(1, 7, 2)), a_record(tile=(1, 5, 2))
    other = a_record(compiler="boardwright 1, tvm 0")
    assert merged([old, other], [new]) == (new, other)


def test_a_finding_crosses_as_a_line() -> None:
    record = a_record()
    finding = Finding(**{name: getattr(record, name) for name in Finding.__dataclass_fields__})
    told = heard(finding.line(left=3))
    assert told is not None
    left, fields = told
    assert left == 3
    assert record_from(fields, compiler=record.compiler, machine=record.machine) == record


@pytest.mark.parametrize(
    "line",
    ["tuned", "tuned {", "tuned []", "tuned 7", "tuned {}", DEEP, "pass", ""],
)
def test_other_lines_are_no_findings(line: str) -> None:
    assert heard(line) is None


@pytest.mark.parametrize("fields", [{}, {"kernel": 1}, {"tile": [0]}])
def test_nonsense_in_a_finding_is_no_record(fields: dict[str, Any]) -> None:
    whole = json.loads(render([a_record()]))["records"][0]
    given = {**whole, **fields} if fields else fields
    assert record_from(given, compiler="c", machine="m") is None


def test_the_nearest_folder_counts() -> None:
    own, user, shipped = a_record(tile=(1,)), a_record(tile=(2,)), a_record("ff", tile=(3,))
    assert set(known([[own], [user], [shipped]], own.compiler)) == {own, shipped}


def test_another_compilers_records_do_not_count() -> None:
    assert known([[a_record(compiler="boardwright 1, tvm 0")], [a_record()]], "none of them") == ()


def test_the_compiler_is_ours_and_tvm() -> None:
    one = compiler_name({"boardwright": "1", "apache-tvm": "2", "onnx": "3"})
    assert one == compiler_name({"boardwright": "1", "apache-tvm": "2", "onnx": "4"})
    assert one != compiler_name({"boardwright": "2", "apache-tvm": "2"})


def test_only_what_changes_a_cpus_code_is_chosen() -> None:
    usual = a_record("01", tile=(1, 8, 2), usual=(1, 8, 2))
    foreign = a_record("02", cpu="znver4")
    [chosen] = tuned_tiles([usual, foreign, a_record()], CPU)
    assert (chosen.kernel, chosen.tile) == (a_record().kernel, a_record().tile)


def test_records_come_in_a_fixed_order() -> None:
    one, other = a_record("01"), replace(a_record("02"), description="a")
    assert tuned_tiles([other, one], CPU) == tuned_tiles([one, other], CPU)
