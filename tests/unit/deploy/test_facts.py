from __future__ import annotations

import pytest

from builder.deploy.facts import DeviceClock, Mount, Sensor
from builder.errors import DeviceLost
from tests.unit.deploy.answers import jetson


def test_a_board_as_it_shows_itself() -> None:
    facts = jetson()
    assert facts.machine == "aarch64"
    assert facts.os == "Ubuntu 18.04.5 LTS"
    assert facts.glibc == (2, 27)
    assert facts.feature_spelling == "Features"
    assert {"asimd", "crc32"} <= facts.features
    assert (facts.cores, facts.memory_bytes) == (4, 4059712 * 1024)
    assert facts.frequency_khz == (1479000, 102000, 1479000)
    assert facts.clocks == (DeviceClock(name="57000000.gpu", khz=1_600_000),)
    assert facts.sensors == (
        Sensor(name="CPU-therm", celsius=41.5),
        Sensor(name="odd driver", celsius=41.0),
    )
    assert facts.mount == Mount(point="/", options=frozenset({"ext4", "rw", "relatime"}))
    assert facts.free_bytes == 9000000 * 1024
    assert facts.root == "/home/nano/boardwright"


def test_unknown_things_are_none() -> None:
    facts = jetson(glibc="", features="", cores="0", mount="", free_kib="", current_khz="fast")
    assert (facts.glibc, facts.feature_spelling, facts.cores) == (None, None, None)
    assert (facts.mount, facts.free_bytes, facts.features) == (None, None, frozenset())
    assert facts.frequency_khz[0] is None


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.", (2, 36)),
        ("GNU C Library (crosstool-NG) release version 2.9, by Roland", (2, 9)),
        ("something else", (2, 27)),
    ],
)
def test_the_c_librarys_own_words(said: str, version: tuple[int, ...]) -> None:
    assert jetson(libc=said).glibc == max(version, (2, 27))
    assert jetson(libc=said, glibc="").glibc == (None if version == (2, 27) else version)


@pytest.mark.parametrize("root", ["", "relative", "/a/../b", "/a/.."])
def test_a_root_that_cannot_be(root: str) -> None:
    with pytest.raises(DeviceLost) as caught:
        jetson(root=root)
    assert caught.value.reason == "garbled-output"
