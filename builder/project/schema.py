"""The shape of a project file, for pydantic. Imported only when one is parsed (60 ms)."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from builder.matrix.schema import BOARD_PATH, MEANINGS, NAME, Section, text
from builder.model.binding import Binding
from builder.model.device import DEFAULT_KEEP, Device
from builder.model.project import Project
from builder.project.literals import literal_text
from builder.project.shapes import MAX_EXTENT

BUNDLE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
PATH = r"^[^\x00-\x1f\x7f-\x9f]{1,4096}$"
TARGET_PATTERN = r"^[a-z0-9*?\[][a-z0-9._*?\[\]!-]{0,63}$"
HOST = r"^[A-Za-z0-9_\[][A-Za-z0-9_.:@%\[\]-]{0,254}$"

PROJECT_MEANINGS = {
    **MEANINGS,
    BUNDLE_NAME: "at most 64 letters, digits, '.', '_' and '-', beginning with a letter or digit",
    PATH: "a path without control characters",
    TARGET_PATTERN: "a target's name, or a glob (jetson-*)",
    HOST: "host, user@host, user@host:port, a name of ssh_config, adb:SERIAL, or local",
}

Extent = Annotated[int, Field(ge=1, le=MAX_EXTENT)]
Shape = Annotated[list[Extent], Field(min_length=1, max_length=32)]


def _literal(value: Any) -> str:
    try:
        return literal_text(value)
    except ValueError as error:
        raise PydanticCustomError("bad-freeze", "{why}", {"why": str(error)}) from None


Literal = Annotated[str, BeforeValidator(_literal)]


class DeviceSection(Section):
    """A board one can reach."""

    name: Annotated[str, text(NAME, "What the device is called here.")]
    target: Annotated[str, text(NAME, "The target that it is.")]
    host: Annotated[str, text(HOST, "Where SSH finds it.")]
    root: Annotated[str, text(BOARD_PATH, "Where bundles are put on it.")] | None = None
    tags: list[Annotated[str, text(NAME, "A word to select devices by.")]] = Field(
        default_factory=list
    )
    keep: Annotated[int, Field(ge=1, le=100, description="Releases that stay on it.")] = (
        DEFAULT_KEEP
    )
    allow_exposed: Annotated[
        bool, Field(description="Whether other users may change the root's folders.")
    ] = False


def _each_name_once(devices: list[DeviceSection]) -> list[DeviceSection]:
    counts = Counter(device.name for device in devices)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice:
        raise PydanticCustomError(
            "duplicate-device", "two devices are called {name}", {"name": repr(twice)}
        )
    return devices


DeviceSections = Annotated[list[DeviceSection], AfterValidator(_each_name_once)]


class DevicesFile(Section):
    """The user's own boards, for all projects."""

    devices: DeviceSections

    def to_devices(self) -> tuple[Device, ...]:
        """Return the nouns the rest of the program speaks in."""
        return tuple(map(_device, self.devices))


class ProjectFile(Section):
    """A ``boardwright.yaml``."""

    model: Annotated[str, text(PATH, "The ONNX model, relative to this file.")]
    name: Annotated[str, text(BUNDLE_NAME, "What bundles are called.")] | None = None
    shapes: dict[str, Shape] = Field(default_factory=dict)
    dims: dict[str, Extent] = Field(default_factory=dict)
    freeze: dict[str, Literal] = Field(default_factory=dict)
    freeze_file: Annotated[str, text(PATH, "An .npz with values to freeze inputs to.")] | None = (
        None
    )
    targets: list[Annotated[str, text(TARGET_PATTERN, "A target or a glob.")]] = Field(
        default_factory=list
    )
    targets_dir: Annotated[str, text(PATH, "A folder with more targets.")] | None = None
    out: Annotated[str, text(PATH, "Where bundles go, relative to this file.")] = "dist"
    inputs: Annotated[str, text(PATH, "An .npz with inputs for the check.")] | None = None
    devices: DeviceSections = Field(default_factory=list)

    def to_project(self) -> Project:
        """Return the noun the rest of the program speaks in."""
        return Project(
            model=self.model,
            name=self.name,
            binding=Binding(
                shapes=tuple((name, tuple(shape)) for name, shape in self.shapes.items()),
                dims=tuple(self.dims.items()),
                frozen=tuple(self.freeze.items()),
            ),
            frozen_file=self.freeze_file,
            targets=tuple(dict.fromkeys(self.targets)),
            out=self.out,
            inputs=self.inputs,
            devices=tuple(map(_device, self.devices)),
            targets_dir=self.targets_dir,
        )


def _device(section: DeviceSection) -> Device:
    return Device(
        name=section.name,
        target=section.target,
        host=section.host,
        root=section.root,
        tags=tuple(section.tags),
        keep=section.keep,
        allow_exposed=section.allow_exposed,
    )
