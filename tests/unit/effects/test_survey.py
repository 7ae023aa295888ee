from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from builder.effects import external_files, onnx_wire, survey
from builder.effects.digest_memo import DigestMemo
from builder.errors import BoardwrightError, ModelRefused, UsageError

LONG_AGO_NS = 1_000_000_000_000_000_000
Entries = dict[str, str]


def external(name: str, **entries: str) -> Any:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def graph(*tensors: Any, nodes: tuple[Any, ...] = ()) -> Any:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    relu = helper.make_node("Relu", ["x"], ["y"])
    return helper.make_graph([*nodes, relu], "g", [value], [result], initializer=list(tensors))


def model(*tensors: Any, nodes: tuple[Any, ...] = (), **fields: Any) -> bytes:
    made: bytes = helper.make_model(graph(*tensors, nodes=nodes), **fields).SerializeToString()
    return made


@pytest.fixture
def memo(tmp_path: Path) -> DigestMemo:
    return DigestMemo(tmp_path / "memo")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models"
    path.mkdir()
    return path


def refusal(call: Callable[..., object], *args: object) -> tuple[type[BoardwrightError], str]:
    with pytest.raises(BoardwrightError) as caught:
        call(*args)
    assert caught.value.where
    return type(caught.value), caught.value.reason


def test_too_many_fields_are_never_parsed(
    folder: Path, memo: DigestMemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protobuf makes some hundred bytes of an empty message, which takes two."""
    entries: list[dict[str, object]] = [{}] * 1001
    dense = external("w")
    for _ in entries:
        dense.external_data.add()
    small = onnx.ModelProto()
    small.graph.node.extend(onnx.NodeProto(op_type="x" * 9) for _ in range(400))
    monkeypatch.setattr(onnx_wire, "MOST_FIELDS", 1000)
    path = folder / "m.onnx"
    for content in (onnx.ModelProto(graph={"node": entries}).SerializeToString(), model(dense)):
        path.write_bytes(content)
        with monkeypatch.context() as patched:
            patched.setattr(onnx, "load", lambda *_, **__: pytest.fail("it was parsed"))
            assert refusal(survey.survey_model, path, memo) == (ModelRefused, "too-many-nodes")
    path.write_bytes(small.SerializeToString())  # looks like 2,200 fields, and has 801
    assert refusal(survey.survey_model, path, memo) == (ModelRefused, "no-graph")


@pytest.mark.parametrize(("count", "reason"), [(1900, "no-graph"), (2100, "too-many-nodes")])
def test_a_number_is_half_a_field(
    folder: Path, memo: DigestMemo, monkeypatch: pytest.MonkeyPatch, count: int, reason: str
) -> None:
    """Trees have a dozen of them for each node, and each takes protobuf 8 bytes."""
    node = helper.make_node("Trees", ["x"], ["y"], numbers=list(range(count)))
    made = onnx.ModelProto()
    made.graph.node.append(node)
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    monkeypatch.setattr(onnx_wire, "MOST_FIELDS", 1000)
    assert refusal(survey.survey_model, folder / "m.onnx", memo) == (ModelRefused, reason)


def test_a_model_with_its_external_data_main_file_first(folder: Path, memo: DigestMemo) -> None:
    (folder / "a").mkdir()
    for name in ("z.bin", "a/b.bin"):
        (folder / name).write_bytes(bytes(8))
    tensors = [external("p", location="z.bin"), external("q", location="./a//b.bin", length="8")]
    tensors.append(external("r", location="z.bin", offset="4", length="4"))
    (folder / "m.onnx").write_bytes(model(*tensors))
    source = survey.survey_model(folder / "m.onnx", memo)
    assert [file.path for file in source.files] == ["m.onnx", "a/b.bin", "z.bin"]
    assert [file.size_bytes for file in source.files][1:] == [8, 8]
    assert source.main == folder / "m.onnx"


def test_where_a_model_lies_is_not_what_it_is(tmp_path: Path, memo: DigestMemo) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.onnx").write_bytes(model())
    one, two = (survey.survey_model(tmp_path / name / "m.onnx", memo) for name in ("one", "two"))
    assert one == two


HOSTILE = {
    "absolute": ("/etc/passwd", "external-data-outside"),
    "parent": ("../secret", "external-data-outside"),
    "parent in the middle": ("a/../../secret", "external-data-outside"),
    "backslash": ("a\\b", "external-data-outside"),
    "nul": ("a\0b", "external-data-outside"),
    "link": ("link", "external-data-outside"),
    "folder is a link": ("linked/data", "external-data-outside"),
    "folder": ("plain", "external-data-outside"),
    "fifo": ("fifo", "external-data-outside"),
    "file as folder": ("data/more", "external-data-outside"),
    "empty": ("", "external-data-missing"),
    "absent": ("absent", "external-data-missing"),
    "dot": (".", "external-data-missing"),
    "too long": ("x" * 5000, "external-data-missing"),
}


@pytest.mark.parametrize(("location", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_locations_are_refused(
    folder: Path, memo: DigestMemo, location: str, reason: str
) -> None:
    (folder / "plain").mkdir()
    for name in ("data", "plain/data", "../secret"):
        (folder / name).write_bytes(bytes(8))
    (folder / "link").symlink_to(folder / "data")
    (folder / "linked").symlink_to(folder / "plain")
    os.mkfifo(folder / "fifo")
    (folder / "m.onnx").write_bytes(model(external("w", location=location)))
    assert refusal(survey.survey_model, folder / "m.onnx", memo) == (ModelRefused, reason)


@pytest.mark.parametrize(
    "extent",
    [
        {"offset": "-1"},
        {"length": "-1"},
        {"offset": "8", "length": "1"},
        {"length": "9"},
        {"offset": "9"},
        {"offset": "1_0"},
        {"offset": " 1"},
        {"offset": "\u0661"},
        {"length": "9" * 30},
    ],
)
def test_extents_outside_the_file_are_refused(
    folder: Path, memo: DigestMemo, extent: Entries
) -> None:
    (folder / "data").write_bytes(bytes(8))
    (folder / "m.onnx").write_bytes(model(external("w", location="data", **extent)))
    refused = refusal(survey.survey_model, folder / "m.onnx", memo)
    assert refused == (ModelRefused, "external-data-bounds")


def _constant(tensor: Any) -> Any:
    return helper.make_node("Constant", [], ["c"], value=tensor)


def _nested(tensor: Any) -> Any:
    inner = helper.make_node("If", ["c"], ["y"], then_branch=graph(nodes=(_constant(tensor),)))
    return helper.make_node(
        "If", ["c"], ["y"], then_branch=graph(), else_branch=graph(nodes=(inner,))
    )


def _function(tensor: Any) -> Any:
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_function("local", "f", [], ["c"], [_constant(tensor)], opsets)


def _sparse(tensor: Any) -> Any:
    indices = TensorProto(data_type=TensorProto.INT64, dims=[2])
    return onnx.SparseTensorProto(values=tensor, indices=indices, dims=[4])


def _in_attributes(tensor: Any) -> Any:
    node = helper.make_node("Anything", [], ["c"])
    node.attribute.add(name="many", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    return node


def _with_sparse_initializer(tensor: Any) -> bytes:
    whole = onnx.ModelProto.FromString(model())
    whole.graph.sparse_initializer.append(_sparse(tensor))
    return bytes(whole.SerializeToString())


PLACES: dict[str, Callable[[Any], bytes]] = {
    "initializer": model,
    "sparse initializer": _with_sparse_initializer,
    "constant": lambda tensor: model(nodes=(_constant(tensor),)),
    "sparse constant": lambda tensor: model(
        nodes=(helper.make_node("Constant", [], ["c"], sparse_value=_sparse(tensor)),)
    ),
    "list attribute": lambda tensor: model(nodes=(_in_attributes(tensor),)),
    "subgraph of a subgraph": lambda tensor: model(nodes=(_nested(tensor),)),
    "function": lambda tensor: model(functions=[_function(tensor)]),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_external_data_is_found_wherever_it_hides(
    folder: Path, memo: DigestMemo, place: Callable[[Any], bytes]
) -> None:
    (folder / "m.onnx").write_bytes(place(external("w", location="../out")))
    refused = refusal(survey.survey_model, folder / "m.onnx", memo)
    assert refused == (ModelRefused, "external-data-outside")


DAMAGED = {
    "empty": (b"", "empty-file"),
    "text": (b"hello, this is a plain text file\n", "not-onnx"),
    "html": (b"<!DOCTYPE html><html></html>", "not-onnx"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(64), "not-onnx"),
    "zeros": (bytes(100), "not-onnx"),
    "half": (model(external("w"))[:-40], "truncated"),
    "one byte less": (model()[:-1], "truncated"),
    "git lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "not-onnx"),
    "no graph": (onnx.ModelProto(ir_version=8).SerializeToString(), "not-onnx"),
    "no outputs": (
        onnx.ModelProto(ir_version=8, graph=onnx.GraphProto(name="g")).SerializeToString(),
        "no-graph",
    ),
    "endless varint": (b"\x08" + b"\xff" * 64, "not-onnx"),
}


@pytest.mark.parametrize(("content", "reason"), DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_no_model_is_refused(
    folder: Path, memo: DigestMemo, content: bytes, reason: str
) -> None:
    (folder / "m.onnx").write_bytes(content)
    assert refusal(survey.survey_model, folder / "m.onnx", memo) == (ModelRefused, reason)


def test_any_cut_of_a_model_is_refused_or_surveyed(folder: Path, memo: DigestMemo) -> None:
    whole = model(nodes=(_constant(helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])),))
    path = folder / "m.onnx"
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        try:
            survey.survey_model(path, memo)
        except ModelRefused as refused:
            assert refused.reason in {"empty-file", "truncated", "not-onnx", "no-graph"}


def test_noise_is_refused(folder: Path, memo: DigestMemo) -> None:
    random = np.random.default_rng(0)
    path = folder / "m.onnx"
    for size in range(1, 200):
        path.write_bytes(random.bytes(size))
        with pytest.raises(ModelRefused):
            survey.survey_model(path, memo)


def test_more_than_protobuf_reads_is_refused_unread(folder: Path, memo: DigestMemo) -> None:
    with (folder / "m.onnx").open("wb") as file:
        file.truncate(2**31)
    assert refusal(survey.survey_model, folder / "m.onnx", memo) == (ModelRefused, "too-large")


@pytest.mark.parametrize("kind", ["absent", "folder", "fifo", "dangling", "nul"])
def test_a_path_without_a_model_is_a_usage_error(folder: Path, memo: DigestMemo, kind: str) -> None:
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "dangling").symlink_to("nowhere")
    path = folder / ("a\0b" if kind == "nul" else kind)
    expected = "unreadable-model" if kind == "nul" else "no-such-model"
    assert refusal(survey.survey_model, path, memo) == (UsageError, expected)


def test_a_link_to_a_model_is_that_model(folder: Path, memo: DigestMemo) -> None:
    (folder / "m.onnx").write_bytes(model())
    (folder / "latest").symlink_to("m.onnx")
    assert survey.survey_model(folder / "latest", memo).main == folder / "m.onnx"


def test_a_model_seen_before_is_not_parsed_again(
    folder: Path, memo: DigestMemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "data").write_bytes(bytes(8))
    path = folder / "m.onnx"
    path.write_bytes(model(external("w", location="data")))
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    first = survey.survey_model(path, memo)
    monkeypatch.delattr(survey, "external_references")
    assert survey.survey_model(path, memo) == first
    (folder / "data").unlink()
    refused = refusal(survey.survey_model, path, memo)
    assert refused == (ModelRefused, "external-data-missing")


def test_an_edit_is_noticed(folder: Path, memo: DigestMemo) -> None:
    (folder / "data").write_bytes(bytes(8))
    (folder / "m.onnx").write_bytes(model(external("w", location="data")))
    source = survey.survey_model(folder / "m.onnx", memo)
    assert survey.unchanged(source, memo)
    (folder / "data").write_bytes(b"8 bytes!")
    assert not survey.unchanged(source, memo)
    (folder / "data").unlink()
    assert not survey.unchanged(source, memo)


def test_check_inputs_are_one_file(folder: Path, memo: DigestMemo) -> None:
    np.savez(folder / "inputs.npz", x=np.zeros(2, np.float32))
    source = survey.survey_npz(folder / "inputs.npz", memo)
    assert [file.path for file in source.files] == ["inputs.npz"]


def test_check_inputs_must_be_there_and_be_an_npz(folder: Path, memo: DigestMemo) -> None:
    (folder / "x.npy").write_bytes(b"\x93NUMPY")
    assert refusal(survey.survey_npz, folder / "x.npy", memo) == (UsageError, "not-npz")
    assert refusal(survey.survey_npz, folder / "absent", memo) == (UsageError, "no-such-inputs")


def test_target_texts_of_later_folders_come_last(tmp_path: Path) -> None:
    for folder, text in (("one", "name: a"), ("two", "name: b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pi.yaml").write_text(text)
        (tmp_path / folder / "schema.json").touch()
    texts = survey.read_texts([tmp_path / "one", tmp_path / "two"])
    assert texts == {
        str(tmp_path / "one" / "pi.yaml"): "name: a",
        str(tmp_path / "two" / "pi.yaml"): "name: b",
    }


@pytest.mark.parametrize(
    ("content", "reason"), [(bytes(2**20 + 1), "target-too-large"), (b"\xff", "yaml-not-text")]
)
def test_target_files_are_short_texts(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "pi.yaml").write_bytes(content)
    assert refusal(survey.read_texts, [tmp_path]) == (UsageError, reason)


def test_a_folder_of_targets_must_be_there(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert refusal(survey.read_texts, [absent]) == (UsageError, "no-such-targets")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_put_in_place_after_the_look_is_not_followed(
    folder: Path, memo: DigestMemo, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    secret = folder.parent / "outside"
    secret.mkdir()
    (secret / "w.bin").write_bytes(b"a secret")
    (folder / "sub").mkdir()
    (folder / "sub" / "w.bin").write_bytes(bytes(8))
    (folder / "m.onnx").write_bytes(model(external("w", location="sub/w.bin", length="8")))

    def looked_then_swapped(*arguments: Any) -> str:
        found = locate(*arguments)
        swapped = folder / ("sub/w.bin" if what == "file" else "sub")
        swapped.rename(folder / "aside")
        swapped.symlink_to(secret / "w.bin" if what == "file" else secret)
        return found

    locate = external_files.locate
    monkeypatch.setattr(survey, "locate", looked_then_swapped)
    assert refusal(survey.survey_model, folder / "m.onnx", memo) == (
        UsageError,
        "unreadable-model",
    )


@pytest.mark.parametrize(("mode", "private"), [(0o600, True), (0o640, True), (0o644, False)])
def test_a_model_that_not_everybody_may_read_is_private(
    folder: Path, memo: DigestMemo, mode: int, private: bool
) -> None:
    path = folder / "m.onnx"
    path.write_bytes(model())
    path.chmod(mode)
    assert survey.is_private(survey.survey_model(path, memo)) is private
