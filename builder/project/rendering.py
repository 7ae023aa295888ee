"""The project file that ``boardwright init`` writes: every field, and a comment on each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from builder.matrix.scalars import resolve
from builder.model.binding import Binding, Shapes
from builder.model.device import DEFAULT_KEEP, Device
from builder.model.project import Project

OpenShapes = Mapping[str, Sequence[int | str]]
"""Inputs whose extents are not all known, by name: ``{"images": ("batch", 3, 224, 224)}``."""

_BARE = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~@-]*")
_EXAMPLE_DEVICE = Device(
    name="bench", target="jetson-nano", host="user@192.0.2.7", root="~/boardwright", tags=("lab",)
)


def render(project: Project, *, open_shapes: OpenShapes | None = None) -> str:
    """Return the YAML text of ``project``, which ``parse`` reads back as the same value.

    ``open_shapes`` become comments for the user to fill in.
    """
    sections = (
        ("`boardwright build`, run beside this file, needs no other argument.",),
        ("The ONNX model, relative to this file.", *_field("model", project.model, "")),
        ("What bundles are called.", *_field("name", project.name, "my-model")),
        (
            "Extents of the inputs whose shape the model leaves open.",
            *_shapes(project.binding.shapes, open_shapes or {}),
        ),
        (
            "Extents of dimensions by the names that the model gives them.",
            *_dims(project.binding),
        ),
        (
            "Inputs that always have one value: they become constants.",
            *_frozen(project.binding),
        ),
        (
            "The same from an .npz, relative to this file.",
            *_field("freeze_file", project.frozen_file, "constants.npz"),
        ),
        (
            "Boards to build for; `boardwright targets list` shows all, and globs work: jetson-*",
            *_targets(project.targets),
        ),
        ("Where bundles go, relative to this file.", *_field("out", project.out, "")),
        (
            "Inputs for the check against ONNX Runtime: an .npz with an array for each input.",
            *_field("inputs", project.inputs, "check.npz"),
        ),
        (
            "Boards within reach. Without root, bundles are put where the target says.",
            *_devices(project.devices),
        ),
    )
    return "\n".join(_lines(about, body) for about, *body in sections)


def quoted(value: str) -> str:
    """Return a YAML scalar in double quotes, in printable characters, that is read as ``value``."""
    return f'"{"".join(map(_escaped, value))}"'


def _lines(about: str, body: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in (f"# {about}", *body))


def _field(key: str, value: str | None, example: str) -> tuple[str]:
    return (f"# {key}: {example}",) if value is None else (f"{key}: {_text(value)}",)


def _shapes(shapes: Shapes, open_shapes: OpenShapes) -> tuple[str, ...]:
    known = tuple(_shape(name, shape) for name, shape in shapes)
    wanted = tuple(f"# {_shape(name, shape)}" for name, shape in open_shapes.items())
    if known:
        return ("shapes:", *known, *wanted)
    return ("# shapes:", *(wanted or (f"# {_shape('input', (1, 3, 224, 224))}",)))


def _dims(binding: Binding) -> tuple[str, ...]:
    if not binding.dims:
        return ("# dims:", "#   batch: 1")
    return ("dims:", *(f"  {_text(name)}: {extent}" for name, extent in binding.dims))


def _frozen(binding: Binding) -> tuple[str, ...]:
    if not binding.frozen:
        return ("# freeze:", "#   sr: 16000")
    return ("freeze:", *(f"  {_text(name)}: {_literal(value)}" for name, value in binding.frozen))


def _literal(value: str) -> str:
    # Lists, NaN and very large numbers are read back from text as on the command line.
    return _text(value) if isinstance(resolve(value), str) else value


def _shape(name: str, shape: Sequence[int | str]) -> str:
    extents = (str(extent) if isinstance(extent, int) else _text(extent) for extent in shape)
    return f"  {_text(name)}: [{', '.join(extents)}]"


def _targets(targets: Sequence[str]) -> tuple[str, ...]:
    if not targets:
        return ("# targets: [x86_64-linux]",)
    return ("targets:", *(f"  - {_text(target)}" for target in targets))


def _devices(devices: Sequence[Device]) -> tuple[str, ...]:
    if not devices:
        return ("# devices:", *(f"# {line}" for line in _device(_EXAMPLE_DEVICE)))
    return ("devices:", *(line for device in devices for line in _device(device)))


def _device(device: Device) -> tuple[str, ...]:
    optional = (
        *((f"root: {_text(device.root)}",) if device.root is not None else ()),
        *((f"tags: [{', '.join(map(_text, device.tags))}]",) if device.tags else ()),
        *((f"keep: {device.keep}",) if device.keep != DEFAULT_KEEP else ()),
        *(("allow_exposed: true",) if device.allow_exposed else ()),
    )
    lines = (f"target: {_text(device.target)}", f"host: {_text(device.host)}", *optional)
    return (f"  - name: {_text(device.name)}", *(f"    {line}" for line in lines))


def _text(value: str) -> str:
    if _BARE.fullmatch(value) and isinstance(resolve(value), str):
        return value
    return quoted(value)


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    point = ord(character)
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
