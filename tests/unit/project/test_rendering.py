from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from builder import project
from builder.model.binding import Binding
from builder.model.device import Device
from builder.model.project import Project
from builder.project.literals import literal_text
from builder.project.rendering import OpenShapes

words = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
paths = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20)
shapes = st.dictionaries(
    st.text(), st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=5).map(tuple)
)
scalars = st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
literals = scalars | st.lists(scalars, min_size=1, max_size=3) | st.just([[1, 2], [3, 4]])


def items(named: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(named.items())


bindings = st.builds(
    Binding,
    shapes=shapes.map(items),
    dims=st.dictionaries(st.text(), st.integers(1, 2**31 - 1)).map(items),
    frozen=st.dictionaries(st.text(), literals.map(literal_text)).map(items),
)
devices = st.builds(
    Device,
    name=words,
    target=words,
    host=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.:@%-]{0,20}", fullmatch=True),
    root=st.none() | st.sampled_from(["/opt/x", "~/boardwright"]),
    tags=st.lists(words, max_size=3).map(tuple),
    keep=st.integers(1, 100),
    allow_exposed=st.booleans(),
)
projects = st.builds(
    Project,
    model=paths,
    name=st.none() | words,
    binding=bindings,
    frozen_file=st.none() | paths,
    targets=st.lists(words | st.just("jetson-*"), unique=True, max_size=4).map(tuple),
    out=paths,
    inputs=st.none() | paths,
    devices=st.lists(devices, unique_by=lambda device: device.name, max_size=3).map(tuple),
)
open_shapes = st.dictionaries(st.text(), st.lists(st.integers() | st.text(), max_size=4))

FIELDS = (
    "model",
    "name",
    "shapes",
    "dims",
    "freeze",
    "freeze_file",
    "targets",
    "out",
    "inputs",
    "devices",
)
EMPTY = Project(
    model="model.onnx",
    name=None,
    binding=Binding(),
    frozen_file=None,
    targets=(),
    out="dist",
    inputs=None,
    devices=(),
)


@given(projects, open_shapes)
def test_what_is_written_is_read_back(written: Project, unknown: OpenShapes) -> None:
    text = project.render(written, open_shapes=unknown)
    assert project.parse(text, project.FILENAME) == written


def test_every_field_is_explained() -> None:
    lines = project.render(EMPTY).splitlines()
    for field in FIELDS:
        place = next(
            number
            for number, line in enumerate(lines)
            if line.removeprefix("# ").startswith(f"{field}:")
        )
        assert lines[place - 1].startswith("# ")


def test_what_is_commented_out_is_a_valid_example() -> None:
    lines = project.render(EMPTY).splitlines()
    fields = (*(f"{field}:" for field in FIELDS), "  ")
    filled = "\n".join(
        line.removeprefix("# ") if line.removeprefix("# ").startswith(fields) else line
        for line in lines
    )
    example = project.parse(filled, project.FILENAME)
    assert example.name
    assert example.binding.shapes
    assert example.binding.dims
    assert example.binding.frozen
    assert example.frozen_file
    assert example.targets
    assert example.inputs
    assert example.devices


def test_open_shapes_are_left_for_the_user_to_fill_in() -> None:
    text = project.render(EMPTY, open_shapes={"images": ("batch", 3, 224, 224)})
    assert "#   images: [batch, 3, 224, 224]\n" in text
