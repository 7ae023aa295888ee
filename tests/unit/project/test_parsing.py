from __future__ import annotations

import pytest

from builder import project
from builder.errors import UsageError
from builder.model.binding import Binding
from builder.model.device import Device
from builder.model.project import Project

FULL = """\
model: nets/detector.onnx
name: Detector
shapes:
  images: [1, 3, 224, 224]
  no: [2]
dims: {batch: 1}
freeze:
  sr: 16000
  on: true
  scales: [[1, 2.5], [3, 4]]
  huge: "1e300"
freeze_file: constants.npz
targets: [jetson-*, x86_64-linux, jetson-*]
out: build/out
inputs: check.npz
devices:
  - name: bench
    target: jetson-nano
    host: user@192.0.2.7:2222
    root: /opt/boards
    tags: [lab, fast]
    keep: 5
    allow_exposed: true
  - {name: shelf, target: raspberry-pi-4, host: shelf}
"""


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        project.parse(text, "boardwright.yaml")
    return caught.value


def test_every_field() -> None:
    assert project.parse(FULL, "boardwright.yaml") == Project(
        model="nets/detector.onnx",
        name="Detector",
        binding=Binding(
            shapes=(("images", (1, 3, 224, 224)), ("no", (2,))),
            dims=(("batch", 1),),
            frozen=(
                ("sr", "16000"),
                ("on", "true"),
                ("scales", "[[1,2.5],[3,4]]"),
                ("huge", "1e+300"),
            ),
        ),
        frozen_file="constants.npz",
        targets=("jetson-*", "x86_64-linux"),
        out="build/out",
        inputs="check.npz",
        devices=(
            Device(
                name="bench",
                target="jetson-nano",
                host="user@192.0.2.7:2222",
                root="/opt/boards",
                tags=("lab", "fast"),
                keep=5,
                allow_exposed=True,
            ),
            Device(name="shelf", target="raspberry-pi-4", host="shelf", root=None, tags=()),
        ),
    )


def test_only_the_model_is_required() -> None:
    assert project.parse("model: m.onnx\n", "boardwright.yaml") == Project(
        model="m.onnx",
        name=None,
        binding=Binding(),
        frozen_file=None,
        targets=(),
        out="dist",
        inputs=None,
        devices=(),
    )


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        ("out: dist\n", "missing-key", "boardwright.yaml:1:1"),
        ("model: 3\n", "wrong-type", "boardwright.yaml:1:8"),
        ('model: ""\n', "bad-value", "boardwright.yaml:1:8"),
        ('model: "a\\0b"\n', "bad-value", "boardwright.yaml:1:8"),
        ("model: m\nmodels: n\n", "unknown-key", "boardwright.yaml:2:1"),
        ("model: m\nname: ../m\n", "bad-value", "boardwright.yaml:2:7"),
        ("model: m\nshapes: {x: [1, 0]}\n", "bad-value", "boardwright.yaml:2:17"),
        ("model: m\nshapes: {x: [2147483648]}\n", "bad-value", "boardwright.yaml:2:14"),
        ("model: m\nshapes: {x: [batch]}\n", "wrong-type", "boardwright.yaml:2:14"),
        ("model: m\nshapes: {x: []}\n", "bad-value", "boardwright.yaml:2:13"),
        ("model: m\nshapes: {x: 1}\n", "wrong-type", "boardwright.yaml:2:13"),
        ("model: m\nshapes: {x: [1], x: [2]}\n", "yaml-duplicate-key", "boardwright.yaml:2:18"),
        ("model: m\ndims: {batch: 0}\n", "bad-value", "boardwright.yaml:2:15"),
        ("model: m\ndims: {batch: N}\n", "wrong-type", "boardwright.yaml:2:15"),
        ("model: m\nfreeze: {sr: fast}\n", "bad-freeze", "boardwright.yaml:2:14"),
        ("model: m\nfreeze: {sr: [[1], [1, 2]]}\n", "bad-freeze", "boardwright.yaml:2:14"),
        ("model: m\nfreeze: {sr: []}\n", "bad-freeze", "boardwright.yaml:2:14"),
        ("model: m\nfreeze: {sr: {}}\n", "bad-freeze", "boardwright.yaml:2:14"),
        ("model: m\ntargets: x86_64-linux\n", "wrong-type", "boardwright.yaml:2:10"),
        ("model: m\ntargets: [../x]\n", "bad-value", "boardwright.yaml:2:11"),
        ("model: m\ndevices: [{}]\n", "missing-key", "boardwright.yaml:2:11"),
        ("model: m\n---\n", "yaml-many-documents", "boardwright.yaml:2:1"),
    ],
)
def test_refused(text: str, reason: str, where: str) -> None:
    error = refusal(text)
    assert (error.reason, error.where) == (reason, where)


@pytest.mark.parametrize("host", ["-oProxyCommand=reboot", "a b", "a;b", "$(x)", "", "user@"[:0]])
def test_a_host_cannot_be_an_option_or_shell_text(host: str) -> None:
    error = refusal(f'model: m\ndevices: [{{name: a, target: b, host: "{host}"}}]\n')
    assert (error.reason, error.where) == ("bad-value", "boardwright.yaml:2:38")


@pytest.mark.parametrize("host", ["board", "pi@board.local", "[2001:db8::1]:22", "fe80::1%eth0"])
def test_hosts(host: str) -> None:
    text = f'model: m\ndevices: [{{name: a, target: b, host: "{host}"}}]\n'
    assert project.parse(text, "boardwright.yaml").devices[0].host == host


def test_a_devices_name_is_its_own() -> None:
    device = "{name: a, target: b, host: c}"
    error = refusal(f"model: m\ndevices: [{device}, {device}]\n")
    assert (error.reason, error.where) == ("duplicate-device", "boardwright.yaml:2:10")


def test_all_problems_are_told_at_once() -> None:
    error = refusal("model: 1\nout: 2\ntagets: []\n")
    assert [problem["where"] for problem in error.details["problems"]] == [
        "boardwright.yaml:1:8",
        "boardwright.yaml:2:6",
        "boardwright.yaml:3:1",
    ]


@pytest.mark.parametrize("keep", ["0", "101", "-1", "1.5", "many"])
def test_a_device_keeps_a_sensible_number_of_releases(keep: str) -> None:
    error = refusal(f"model: m\ndevices: [{{name: a, target: b, host: c, keep: {keep}}}]\n")
    assert error.reason in ("bad-value", "wrong-type")


def test_the_users_own_devices() -> None:
    text = "devices:\n  - {name: a, target: b, host: local, keep: 1}\n"
    assert project.parse_devices(text, "devices.yaml") == (
        Device(name="a", target="b", host="local", root=None, tags=(), keep=1),
    )


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        ("{}\n", "missing-key", "devices.yaml:1:1"),
        ("devices: [{name: a, target: b}]\n", "missing-key", "devices.yaml:1:11"),
        ("model: m\ndevices: []\n", "unknown-key", "devices.yaml:1:1"),
    ],
)
def test_what_is_wrong_with_the_users_devices(text: str, reason: str, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        project.parse_devices(text, "devices.yaml")
    assert (caught.value.reason, caught.value.where) == (reason, where)
