"""Verify: run the bundle as a board would and compare with ONNX Runtime's outputs."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.compiler.set_list import CheckSet, read_sets
from builder.compiler.signature import read_signature
from builder.errors import IntegrityError
from builder.model.artifact import Caution, OutputError, SetVerdict, Verification
from builder.model.bisection import Bisection
from builder.model.tensor import Signature
from builder.payload.affordable import affordable
from builder.payload.comparison import compare_outputs
from builder.payload.emulated import Runner, prefix
from builder.payload.reissue import reissue
from builder.ports import Log
from builder.steps import Verify

_JUMPS_TOLD = 3


def verify(step: Verify, *, prepared: Path, assembled: Path, output: Path, log: Log) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Verify`` describes.

    The runner's own ``--check`` must come to the same verdict as the comparison made here.
    """
    trial = _Trial(
        step=step,
        prepared=prepared,
        assembled=assembled,
        output=output,
        runner=Runner(prefix=prefix(step), bundle=assembled / "bundle", log=log),
        signature=read_signature(prepared),
        cautions=list(_cautions(prepared / "cautions.json")),
    )
    trial.run()
    text = json.dumps(dataclasses.asdict(trial.verification()), indent=1) + "\n"
    (output / "verification.json").write_text(text, encoding="utf-8")


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One bundle on trial; it ends with the first set that is wrong."""

    step: Verify
    prepared: Path
    assembled: Path
    output: Path
    runner: Runner
    signature: Signature
    cautions: list[Caution]
    verdicts: list[SetVerdict] = field(default_factory=list)
    outputs: tuple[OutputError, ...] = ()

    def run(self) -> None:
        sets = read_sets(self.prepared)
        plain = [each for each in sets if not each.spare]
        further = [each for each in plain[1:] if each.dropped is None]
        count = affordable(self.step.where, self.prepared, len(further))
        left_out = {
            **{each.name: each.dropped for each in plain if each.dropped is not None},
            **{each.name: "it would take too long under qemu" for each in further[count:]},
        }
        for each in plain:
            if each.name in left_out:
                self.verdicts.append(SetVerdict(name=each.name, ok=None, why=left_out[each.name]))
            elif not self._holds(each, own=each is plain[0]):
                return
        if self.verdicts[0].judged == "pieces":
            self._reissue(plain[0], [each for each in sets if each.spare and not each.dropped])

    def verification(self) -> Verification:
        return Verification(
            ok=all(verdict.ok is not False for verdict in self.verdicts),
            where=self.step.where,
            max_abs_error=max((entry.max_abs_error for entry in self.outputs), default=0.0),
            outputs=self.outputs,
            cautions=tuple(self.cautions),
            sets=tuple(self.verdicts),
        )

    def _holds(self, each: CheckSet, *, own: bool) -> bool:
        """Verify one set; return whether the bundle is right for it."""
        with self._scratch("computed") as computed:
            outputs = self._checked(each, computed) if own else self._computed(each, computed)
            right, judged = all(entry.ok for entry in outputs), "outputs"
            # The run that was wrong is kept: the one that is looked into must repeat it.
            if not right and (found := self._bisected(each, computed)) is not None:
                right, judged = _proves(found, own=own), "pieces"
                if right:
                    self.cautions += _told(found, each.name, outputs)
        if own or not right:
            self.outputs = outputs
        self.verdicts.append(
            SetVerdict(
                name=each.name,
                ok=right,
                judged="pieces" if judged == "pieces" and right else "outputs",
                max_abs_error=max((entry.max_abs_error for entry in outputs), default=0.0),
            )
        )
        if right:
            shutil.rmtree(self.output / "bisect", ignore_errors=True)
        return right

    def _checked(self, each: CheckSet, computed: Path) -> tuple[OutputError, ...]:
        said_ok = self.runner.check(computed)
        outputs = compare_outputs(self.signature, computed, self.prepared / each.folder)
        _agree(said_ok, outputs)
        return outputs

    def _computed(self, each: CheckSet, computed: Path) -> tuple[OutputError, ...]:
        folder = self.prepared / each.folder
        self.runner.infer(folder / "inputs", computed)
        return compare_outputs(self.signature, computed, folder)

    def _bisected(self, each: CheckSet, computed: Path) -> Bisection | None:
        """Leave in ``bisect/`` what a bisection finds, if it finds anything."""
        from builder.payload.bisect import bisect  # ONNX Runtime, which a right bundle needs not

        found = self.output / "bisect"
        with self._scratch("dump") as dump:
            try:
                self.runner.dump(self.prepared / each.folder / "inputs", dump)
                found.mkdir()
                log = self.runner.log
                return bisect(self.prepared, dump, output=found, log=log, computed=computed)
            except Exception as error:  # the verdict stands without its cause
                self.runner.log(f"no bisection: {error}")
                return None

    def _reissue(self, own: CheckSet, spare: Sequence[CheckSet]) -> None:
        """Give the bundle check data that it passes on a board as well."""
        for each in spare:
            with self._scratch("computed") as computed:
                outputs = self._computed(each, computed)
            if all(entry.ok for entry in outputs):
                self._replace(each, outputs)
                return
        self._replace(own, None)

    def _replace(self, chosen: CheckSet, outputs: tuple[OutputError, ...] | None) -> None:
        with self._scratch("computed") as computed:
            if outputs is None:
                self.runner.infer(self.prepared / chosen.folder / "inputs", computed)
            bundle = reissue(
                self.assembled,
                self.prepared / chosen.folder,
                self.output,
                computed=computed if outputs is None else None,
            )
        jumping = [entry.name for entry in self.outputs if not entry.ok]
        runner = dataclasses.replace(self.runner, bundle=bundle)
        with self._scratch("again") as computed:
            said_ok = runner.check(computed)
            self.outputs = compare_outputs(self.signature, computed, bundle / "check")
        _agree(said_ok, self.outputs)
        if not said_ok:
            raise IntegrityError("the bundle does not repeat itself", reason="check-disagrees")
        error = max((entry.max_abs_error for entry in self.outputs), default=0.0)
        if outputs is not None:
            verdict = SetVerdict(name=chosen.name, ok=True, judged="outputs", max_abs_error=error)
            self.verdicts.append(verdict)
        else:
            self.cautions += map(_relaxed, jumping)

    def _scratch(self, name: str) -> _Scratch:
        return _Scratch(path=self.output / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scratch:
    """A path for a folder that is gone afterwards."""

    path: Path

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _proves(found: Bisection, *, own: bool) -> bool:
    """Say whether a bisection shows that outputs differ though every piece is right.

    The further sets are made to strain a model: there errors may also add up.
    """
    return found.right and (found.cause == "jump" or (not own and found.cause == "accumulation"))


def _told(found: Bisection, name: str, outputs: Sequence[OutputError]) -> Iterator[Caution]:
    """Yield what to know of a set that is right by its pieces alone."""
    worst = max((o for o in outputs if not o.ok), key=lambda o: o.max_abs_error)
    if found.cause != "jump":
        yield Caution(
            reason="accumulation",
            output=worst.name,
            why=f"for the inputs {name!r} it is {worst.max_abs_error:.3g} from ONNX Runtime's:"
            " every kernel is right on its own inputs, but errors add up",
        )
    for jump in found.jumps[:_JUMPS_TOLD]:
        yield Caution(
            reason="jump",
            output=worst.name,
            why=f"for the inputs {name!r} node {jump.node!r} ({jump.operator}) jumps:"
            f" {jump.elements} of {jump.of} elements took another side than in ONNX"
            f" Runtime, where operands differ by at most {jump.difference:.2g}; every kernel is"
            " right on its own inputs",
        )


def _relaxed(output: str) -> Caution:
    return Caution(
        reason="check-relaxed",
        output=output,
        why="for all inputs that were tried something jumps, so on a board some of its elements may"
        " differ from check/expected: check/tolerance.txt says how many. Where those are all, the"
        " check on a board proves nothing for this output",
    )


def _agree(said_ok: bool, outputs: Sequence[OutputError]) -> None:
    if said_ok != all(entry.ok for entry in outputs):
        raise IntegrityError(
            "the runner's check and the builder's comparison disagree",
            reason="check-disagrees",
            why=f"the runner said {'ok' if said_ok else 'wrong'}",
        )


def _cautions(path: Path) -> tuple[Caution, ...]:
    return tuple(Caution(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
