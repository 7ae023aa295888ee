"""What bin/run makes of .npy files: good ones, hostile ones, and good ones gone bad."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.runtime_builds import FIXTURE, RUNTIME, Gcc, X, call, expect_failure, report


def npy(header: str | bytes, *, version: int = 1, body: bytes = X.tobytes()) -> bytes:
    text = header if isinstance(header, bytes) else header.encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + body


def header(descr: str = "<f4", order: str = "False", shape: str = "(4, 256)") -> str:
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"


def test_npy_versions_and_spellings_are_read(bundle: Path) -> None:
    path = bundle / "check" / "inputs" / "x.npy"
    good = [
        npy(header(), version=1),
        npy(header(), version=2),
        npy(header(), version=3),
        npy(header("=f4")),
        npy(header() + "    \n"),
        npy('{"shape":(4,256),"fortran_order":False,"descr":"<f4"}'),
    ]
    for content in good:
        path.write_bytes(content)
        assert report(bundle, "--check", "--threads", "2")["ok"] is True


HOSTILE = {
    "empty file": b"",
    "not npy": b"PK\x03\x04" * 10,
    "magic only": b"\x93NUMPY",
    "version 4": npy(header(), version=4),
    "version 0": npy(header(), version=0),
    "huge header length": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 100,
    "no header": npy(""),
    "truncated header": npy(header())[:40],
    "garbage header": npy(b"\x00\xff" * 50),
    "python code": npy("__import__('os').system('true')"),
    "missing key": npy("{'descr': '<f4', 'shape': (4, 256)}"),
    "repeated key": npy("{'descr': '<f4', 'descr': '<f4', 'shape': (4, 256)}"),
    "unknown key": npy("{'descr': '<f4', 'other': False, 'shape': (4, 256)}"),
    "open dict": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 256)"),
    "trailing text": npy(header() + "x"),
    "structured dtype": npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4, 256)}"),
    "endless descr": npy(header("<f4" * 100)),
    "other dtype": npy(header("<f8")),
    "big endian": npy(header(">f4")),
    "object dtype": npy(header("|O")),
    "order neither": npy(header(order="Maybe")),
    "fortran order": npy(header(order="True")),
    "negative extent": npy(header(shape="(-4, 256)")),
    "overflowing extent": npy(header(shape="(4, 99999999999999999999999)")),
    "wrapping extents": npy(header(shape="(4294967296, 4294967296)")),
    "other shape": npy(header(shape="(256, 4)")),
    "other rank": npy(header(shape="(1, 4, 256)")),
    "rank 33": npy(header(shape="(" + "1, " * 33 + ")")),
    "no tuple": npy(header(shape="1024")),
    "number in brackets": npy(header(shape="(1024)")),
    "truncated body": npy(header())[:-1],
    "no body": npy(header(), body=b""),
    "longer body": npy(header(), body=X.tobytes() + b"\0"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_npy_is_refused(bundle: Path, what: str) -> None:
    (bundle / "check" / "inputs" / "x.npy").write_bytes(HOSTILE[what])
    assert "x.npy" in expect_failure(2, bundle, "--check")


def mutate(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(140)
        match chance.randrange(3):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                del changed[at : at + chance.randint(1, 20)]
            case _:
                changed[at:at] = chance.choice(
                    [b"(", b"'", b",", b"9" * 30, b"\xff", b"True", b"}"]
                )
    return bytes(changed[: chance.choice([len(changed), chance.randrange(200)])])


def test_mutated_npy_never_crashes_the_reader(gcc: Gcc, tmp_path: Path) -> None:
    names = ("npy.c", "npy_header.c", "dtype.c")
    sources = (FIXTURE / "npy_probe.c", *(RUNTIME / name for name in names))
    probe = gcc.build("npy_probe", "asan", sources, "-O1")
    chance = random.Random(20)
    np.save(tmp_path / "good.npy", X)
    good = (tmp_path / "good.npy").read_bytes()
    paths = [tmp_path / f"{i}.npy" for i in range(2000)]
    for path in paths:
        path.write_bytes(mutate(good, chance))
    probed = call(probe, tmp_path / "good.npy", *paths)
    assert probed.returncode == 0, probed.stderr
    verdicts = probed.stdout.splitlines()
    assert len(verdicts) == len(paths) + 1
    assert verdicts[0] == "read"
    assert sum(verdict != "read" for verdict in verdicts) > len(paths) / 2
