from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from builder.cli.environment import Environment, read_environment
from builder.cli.fleet import (
    ad_hoc_device,
    choose_devices,
    known_devices,
    own_name,
    targets_of,
)
from builder.cli.ssh_settings import read_ssh_settings
from builder.errors import UsageError
from builder.model.device import DEFAULT_KEEP, AdbLink, Device, LocalLink, SshLink, link_of


def device(name: str, *tags: str, target: str = "jetson-nano") -> Device:
    return Device(name=name, target=target, host=name, root=None, tags=tags)


KNOWN = (device("lab-1", "lab"), device("lab-2", "lab", "fast"), device("desk"))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return read_environment(
        {
            "BOARDWRIGHT_CACHE_DIR": str(tmp_path / "cache"),
            "BOARDWRIGHT_DEVICES": str(tmp_path / "devices.yaml"),
        }
    )


def names(*patterns: str, tags: tuple[str, ...] = ()) -> list[str]:
    return [found.name for found in choose_devices(KNOWN, patterns, tags)]


def reason(known: tuple[Device, ...], *patterns: str, tags: tuple[str, ...] = ()) -> str:
    with pytest.raises(UsageError) as caught:
        choose_devices(known, patterns, tags)
    return caught.value.reason


def test_choosing() -> None:
    assert names("desk") == ["desk"]
    assert names("lab-*") == ["lab-1", "lab-2"]
    assert names("desk", "lab-2") == ["lab-2", "desk"]
    assert names("*", tags=("lab", "fast")) == ["lab-2"]
    assert names(tags=("lab",)) == ["lab-1", "lab-2"]
    assert choose_devices(KNOWN[2:], (), ()) == KNOWN[2:]


def test_what_cannot_be_chosen() -> None:
    assert reason(KNOWN) == "many-devices"
    assert reason(()) == "no-device"
    assert reason(KNOWN, "lab-3") == "unknown-device"
    assert reason(KNOWN, "desk", tags=("lab",)) == "no-device"


def test_a_projects_devices_come_before_the_users(environment: Environment) -> None:
    assert known_devices(environment) == ()
    environment.devices_file.write_text(
        "devices:\n  - {name: a, target: t, host: users}\n  - {name: b, target: t, host: users}\n"
    )
    Path("boardwright.yaml").write_text(
        "model: m\ndevices: [{name: a, target: t, host: projects}]\n"
    )
    found = known_devices(environment)
    assert [(one.name, one.host) for one in found] == [("a", "projects"), ("b", "users")]
    assert known_devices(environment) == found  # remembered


def test_a_devices_file_that_cannot_be_read(environment: Environment) -> None:
    environment.devices_file.mkdir()
    with pytest.raises(UsageError) as caught:
        known_devices(environment)
    assert caught.value.reason == "unreadable-devices"


def test_a_device_of_the_command_line() -> None:
    made = ad_hoc_device("jetson-nano", "nano@192.0.2.7:22", "/opt/b", None)
    assert (made.host, made.root, made.keep) == ("nano@192.0.2.7:22", "/opt/b", DEFAULT_KEEP)
    assert made.name == "nano-192.0.2.7-22"
    with pytest.raises(UsageError) as caught:
        ad_hoc_device("jetson-nano", "-oProxyCommand=reboot", None, None)
    assert caught.value.reason == "bad-value"


def test_targets_of_devices(environment: Environment) -> None:
    assert set(targets_of(KNOWN, (), environment)) == {"jetson-nano"}
    with pytest.raises(UsageError) as caught:
        targets_of((device("x", target="no-such"),), (), environment)
    assert caught.value.reason == "unknown-target"


def test_a_name_for_others_has_no_commas_and_no_spaces() -> None:
    assert not set(own_name()) & set(" ,/\n")


def test_a_user_without_a_name_goes_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert own_name().startswith(f"{os.getuid()}@")
    assert read_ssh_settings({}).user == str(os.getuid())


@pytest.mark.parametrize(
    ("host", "link"),
    [
        ("local", LocalLink()),
        ("adb:123", AdbLink(serial="123")),
        ("user@local", SshLink(destination="user@local")),
    ],
)
def test_links(host: str, link: object) -> None:
    assert link_of(host) == link
