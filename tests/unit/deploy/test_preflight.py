from __future__ import annotations

import pytest

from builder.deploy.facts import DeviceFacts
from builder.deploy.preflight import (
    RESERVE_BYTES,
    Needs,
    SymbolNeed,
    refuse_full,
    refuse_unfit,
)
from builder.errors import DeviceRefused
from builder.model.target import Libc
from tests.nouns import a_pc, a_target
from tests.unit.deploy.answers import jetson

LOADER = "/lib/ld-linux-aarch64.so.1"
NANO = a_target(features=("asimd",))
PI32 = a_target("pi", arch="armv7", features=("neon", "vfpv4", "idiva"))


def needs(*symbols: SymbolNeed, loader: str = LOADER) -> Needs:
    return Needs(target=NANO, loaders=(loader,), symbols=symbols)


def symbol(*version: int) -> SymbolNeed:
    return SymbolNeed(file="bin/run", version=version, symbol="pthread_create")


def reason(facts: DeviceFacts, wanted: Needs) -> DeviceRefused:
    with pytest.raises(DeviceRefused) as caught:
        refuse_unfit(facts, wanted, where="nano")
    assert (caught.value.exit_code, caught.value.where) == (7, "nano")
    assert caught.value.state == "nothing was sent"
    assert caught.value.remedy
    return caught.value


def test_a_board_that_fits() -> None:
    refuse_unfit(jetson(), needs(symbol(2, 17), symbol(2, 27)), where="nano")


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({}, None),
        ({"android": "23"}, "old-android"),
        ({"abis": "armeabi-v7a,armeabi"}, "wrong-abi"),
        ({"abis": ""}, None),
    ],
)
def test_a_phone_that_does_not_fit(changes: dict[str, str], slug: str | None) -> None:
    facts = {"android": "24", "abis": "arm64-v8a,armeabi-v7a", "glibc": "", "loader": ""}
    phone = jetson(**{**facts, **changes})
    bionic = Libc(family="bionic", floor=None, api=24)
    wanted = Needs(target=a_target("android-arm64", libc=bionic), loaders=(), symbols=())
    if slug is None:
        refuse_unfit(phone, wanted, where="nano")
    else:
        assert reason(phone, wanted).reason == slug


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"machine": "armv7l"}, "wrong-arch"),
        ({"loader": "/lib/ld-musl-aarch64.so.1"}, "no-loader"),
        ({"glibc": "glibc 2.23"}, "old-glibc"),
        ({"features": "Features fp evtstrm"}, "missing-cpu-feature"),
        ({"mount": "/data ext4 ro,relatime"}, "read-only"),
        ({"mount": "/tmp tmpfs rw,noexec"}, "no-exec"),
        ({"root_state": "link"}, "planted-link"),
        ({"owned": "no"}, "foreign-folder"),
        ({"uid": "1", "up": "drwxrwxrwx 2 1 1 40 x"}, "exposed-folder"),
        ({"writable": "no"}, "no-permission"),
    ],
)
def test_what_does_not_fit(changes: dict[str, str], slug: str) -> None:
    assert reason(jetson(**changes), needs(symbol(2, 27))).reason == slug


@pytest.mark.parametrize(
    ("listed", "told", "mend"),
    [
        ("drwxr-xr-x 2 33 33 40 x", "user 33", "log in as its owner"),
        ("drwxrwxr-x 2 1 50 40 x", "drwxrwxr-x", "chmod go-w /home/nano/boardwright"),
    ],
)
def test_who_may_change_a_folder_is_told_and_may_be_allowed(
    listed: str, told: str, mend: str
) -> None:
    facts = jetson(uid="1", up=listed)
    error = reason(facts, needs())
    assert error.reason == "exposed-folder"
    assert told in error.what
    assert error.remedy is not None
    assert mend in error.remedy
    refuse_unfit(facts, needs(), where="nano", allow_exposed=True)


def test_the_symbol_that_is_too_new_is_named() -> None:
    error = reason(jetson(), needs(symbol(2, 17), symbol(2, 34)))
    assert error.details == {"glibc": "2.27", "needed": "2.34"}
    assert "pthread_create" in error.what


def test_what_is_not_known_refuses_nothing() -> None:
    facts = jetson(glibc="", loader="", features="", mount="", free_kib="")
    refuse_unfit(facts, needs(symbol(2, 99)), where="nano")
    refuse_full(facts, 1 << 60, where="nano")


def test_an_emulators_cpuinfo_says_nothing() -> None:
    refuse_unfit(jetson(features="flags fpu sse avx2"), needs(), where="nano")


def test_a_64_bit_kernel_has_the_features_of_32_bit_mode() -> None:
    pi = Needs(target=PI32, loaders=("/lib/ld-linux-armhf.so.3",), symbols=())
    loader = "/lib/ld-linux-armhf.so.3"
    with pytest.raises(DeviceRefused):
        refuse_unfit(jetson(loader=loader), pi, where="pi")  # aarch64 is not among its machines
    refuse_unfit(jetson(loader=loader, machine="armv7"), pi, where="pi")
    plain = jetson(loader=loader, machine="armv7", features="Features half thumb")
    assert reason_of(plain, pi) == "missing-cpu-feature"


def reason_of(facts: DeviceFacts, wanted: Needs) -> str:
    with pytest.raises(DeviceRefused) as caught:
        refuse_unfit(facts, wanted, where="nano")
    return caught.value.reason


def test_x86_spells_its_features_as_flags() -> None:
    pc = Needs(target=a_pc(("avx2",)), loaders=(), symbols=())
    pc_facts = jetson(machine="x86_64", features="flags sse avx2")
    refuse_unfit(pc_facts, pc, where="pc")
    assert reason_of(jetson(machine="x86_64", features="flags sse"), pc) == "missing-cpu-feature"


def test_space() -> None:
    facts = jetson(free_kib="2048")
    refuse_full(facts, 2048 * 1024 - RESERVE_BYTES, where="nano")
    with pytest.raises(DeviceRefused) as caught:
        refuse_full(facts, 2048 * 1024 - RESERVE_BYTES + 1, where="nano")
    assert caught.value.reason == "no-space"
