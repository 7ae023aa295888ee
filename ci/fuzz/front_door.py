"""Throw mutations of real models at the front door and keep whatever is not told apart cleanly.

    python ci/fuzz/front_door.py --seconds 3600 --finds FOLDER MODEL.onnx ...

Each mutation goes through the survey of the host and the preparation of the payload, in a process
of its own under the payload's limits. A clean end is an artifact or a failure of the catalogue with
exit code 2 or 3, a refusal within 5 s of CPU. Everything else is a find: a crash, another
exception, a hang, a file opened for writing outside the work folder. Its model is written to FOLDER
with what happened.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx

sys.path.insert(0, str(Path(__file__).parents[2]))

from builder.compiler.node_names import nodes
from builder.compiler.prepare.pipeline import prepare
from builder.effects.digest_memo import DigestMemo
from builder.effects.survey import survey_model
from builder.errors import BoardwrightError
from builder.model.model_limits import ModelLimits
from builder.payload.limits import Limits, allow_run, confine

HANG_S = 120
LIMITS = ModelLimits(operations=10**10)
CPU_S = 5.0
MEMORY_BYTES = 1 << 30
NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    255,
    4096,
    10**6,
    2**24,
    2**28,
    2**31 - 1,
    2**31,
    -(2**31),
    2**62,
    -(2**63),
    2**63 - 1,
)
TEXTS = (
    "",
    "x",
    "../../x",
    "\0",
    "If",
    "Loop",
    "Scan",
    "NonZero",
    "Reshape",
    "ConstantOfShape",
    "Tile",
    "Range",
    "Expand",
    "Resize",
    "Conv",
    "MatMul",
    "Einsum",
    "OneHot",
    "Pad",
    "TfIdfVectorizer",
    "NonMaxSuppression",
    "BlackmanWindow",
    "RandomNormal",
    "....",
    "a...b...,c->...",
    "ab,cd,ef->",
    "::warning::x",
    "\x1b[2J",
    "a" * 10_000,
)


def flip_bytes(content: bytes, dice: random.Random) -> bytes:
    mutated = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        mutated[dice.randrange(len(mutated))] = dice.randrange(256)
    return bytes(mutated)


def cut(content: bytes, dice: random.Random) -> bytes:
    start, end = sorted(dice.randrange(len(content)) for _ in range(2))
    return content[:start] + content[end:]


def repeat(content: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(content))
    piece = content[start : start + dice.randrange(1, 200)]
    return content[:start] + piece * dice.choice((2, 3, 100)) + content[start:]


def bend_fields(content: bytes, dice: random.Random) -> bytes:
    """Change fields of the message itself, so that the result still parses."""
    model = onnx.ModelProto.FromString(content)
    for _ in range(dice.choice((1, 1, 2, 4))):
        _bend(model.graph, dice)
    mutated: bytes = model.SerializeToString()
    return mutated


def _bend(message: Any, dice: random.Random) -> None:
    """Walk down to some field at random and bend it."""
    while True:
        fields = [
            (f, v) for f, v in message.ListFields() if f.name not in ("doc_string", "raw_data")
        ]
        if not fields:
            return
        field, value = dice.choice(fields)
        if field.message_type is None:
            break
        many = hasattr(value, "add")
        if many and dice.random() < 0.15:
            _shuffle(value, dice)
            return
        message = dice.choice(value) if many else value
    _bend_scalar(message, field, value, dice)


def _shuffle(repeated: Any, dice: random.Random) -> None:
    at = dice.randrange(len(repeated))
    match dice.randrange(3):
        case 0:
            del repeated[at]
        case 1:
            repeated.add().CopyFrom(repeated[at])
        case 2:
            repeated[at].CopyFrom(dice.choice(repeated))


def _bend_scalar(message: Any, field: Any, value: Any, dice: random.Random) -> None:
    def bent(old: Any) -> Any:
        if isinstance(old, bool | float):
            return type(old)(dice.choice((0, 1, -1, 1e30, float("nan"))))
        if isinstance(old, int):
            return dice.choice((*NUMBERS, old + 1, old - 1))
        return dice.choice(TEXTS) if isinstance(old, str) else dice.choice(TEXTS).encode()

    try:
        if hasattr(value, "append"):
            value[dice.randrange(len(value))] = bent(value[0])
        else:
            setattr(message, field.name, bent(value))
    except (ValueError, TypeError):
        pass  # the type cannot hold that number


def multiply(content: bytes, dice: random.Random) -> bytes:
    """Make thousands of one node, input, output or initialiser, under new names or one."""
    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    among = [kind for kind in (graph.node, graph.input, graph.output, graph.initializer) if kind]
    if not among:
        return content
    kind = dice.choice(among)
    copied = dice.choice(kind)
    renamed = dice.random() < 0.7
    for number in range(dice.choice((10, 1000, 3000, 20_000))):
        made = kind.add()
        made.CopyFrom(copied)
        if renamed and hasattr(made, "output"):
            made.output[:] = [f"{name}.{number}" for name in made.output]
        elif renamed:
            made.name = f"{made.name}.{number}"
    mutated: bytes = model.SerializeToString()
    return mutated


def enlarge(content: bytes, dice: random.Random) -> bytes:
    """Make extents of inputs, and numbers that initialisers hold, large."""
    model = onnx.ModelProto.FromString(content)
    dims = [dim for value in model.graph.input for dim in value.type.tensor_type.shape.dim]
    for dim in dims:
        if dice.random() < 0.5:
            dim.dim_value = dice.choice((1, 64, 1024, 4096, 10**5, 10**7))
    small = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT64]
    for tensor in small:
        if dice.random() < 0.5:
            value = onnx.numpy_helper.to_array(tensor).copy()
            value[...] = dice.choice(NUMBERS[:12])
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
    mutated: bytes = model.SerializeToString()
    return mutated


def one_name(content: bytes, dice: random.Random) -> bytes:
    """Call all nodes the same, those of nested graphs too, and bend a field besides."""
    model = onnx.ModelProto.FromString(content)
    for placed in nodes(model.graph):
        placed.node.name = "n"
    return bend_fields(model.SerializeToString(), dice)


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(flip_bytes, cut, repeat),
    *([bend_fields] * 5),
    *(multiply, enlarge, enlarge, one_name),
)


def attempt(content: bytes, work: Path) -> str:
    """Return how one mutation ends: ``ok``, ``refused: reason``, or a find's description."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "out").mkdir(parents=True)
    (work / "model.onnx").write_bytes(content)
    child = os.fork()
    if child == 0:
        _in_child(work)
    return _await(child, work)


def _in_child(work: Path) -> None:
    said = "nothing"
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        tempfile.tempdir = str(work)  # as the payload's own scratch
        log = (work / "said").open("w", encoding="utf-8", errors="backslashreplace")
        confine(Limits(memory_bytes=700 << 20, cpu_s=HANG_S // 4, file_bytes=1 << 30))
        sys.addaudithook(_watcher(work, log))
        said = _through_the_door(work)
    except BaseException:
        said = "exception: " + traceback.format_exc()[-2000:]
    log.write(said)
    log.close()
    os._exit(0)


def _through_the_door(work: Path) -> str:
    try:
        source = survey_model(work / "model.onnx", DigestMemo(work / "memo"))
        prepare(
            work / "model.onnx",
            seed=0,
            output=work / "out",
            log=lambda _: None,
            limits=LIMITS,
            digests={file.path: file.sha256 for file in source.files},
            allow_run=allow_run,
        )
    except BoardwrightError as failure:
        clean = failure.exit_code in (2, 3)
        return f"{'refused' if clean else 'unclean'}: {failure.reason}"
    except MemoryError:
        return "refused: too-large"
    return "ok"


def _watcher(work: Path, log: Any) -> Callable[[str, tuple[Any, ...]], None]:
    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path, flags = os.fsdecode(arguments[0]), arguments[2]
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
            if writes and not path.startswith((str(work), "/dev/null", "/proc/self")):
                log.write(f"opened for writing: {path!r}\n")

    return watch


def _await(child: int, work: Path) -> str:
    deadline_s = time.monotonic() + HANG_S
    while True:
        pid, status, used = os.wait4(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline_s:
            os.kill(child, 9)
            os.wait4(child, 0)
            return "hang"
        time.sleep(0.005)
    if status:
        return (
            f"crash: signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {status}"
        )
    said = (work / "said").read_text(encoding="utf-8") or "said nothing"
    if said == "refused: reference-failed":
        return said  # by ONNX Runtime, which had begun with what was granted
    # A model that is taken may use what a run of it needs.
    if said != "ok" and used.ru_utime + used.ru_stime > CPU_S:
        return f"slow: {used.ru_utime + used.ru_stime:.0f} s of CPU for {said}"
    if said != "ok" and used.ru_maxrss * 1024 > MEMORY_BYTES:
        return f"memory: {used.ru_maxrss // 1024} MiB"
    return said


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--finds", type=Path, required=True)
    parser.add_argument("models", nargs="+", type=Path)
    options = parser.parse_args(argv)
    dice = random.Random(options.seed)
    seeds = [path.read_bytes() for path in options.models]
    options.finds.mkdir(parents=True, exist_ok=True)
    ends: Counter[str] = Counter()
    until_s = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as work:
        while time.monotonic() < until_s:
            content = dice.choice(MUTATIONS)(dice.choice(seeds), dice)
            end = attempt(content, Path(work) / "work")
            ends[end.splitlines()[0][:60]] += 1
            if end != "ok" and not end.startswith("refused"):
                _keep(content, end, options.finds)
    print(json.dumps({"runs": ends.total(), "ends": dict(ends.most_common())}, indent=1))
    print(
        f"peak of any child: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MiB"
    )
    return 0


def _keep(content: bytes, end: str, folder: Path) -> None:
    name = hashlib.sha256(content).hexdigest()[:12]
    (folder / f"{name}.onnx").write_bytes(content)
    (folder / f"{name}.txt").write_text(end, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
