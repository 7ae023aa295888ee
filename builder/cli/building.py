"""The build itself, as every verb that needs bundles has it: lay plans, carry them out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builder.cli.binding import read_binding
from builder.cli.clock import SystemClock
from builder.cli.configuration import Settings, Wishes, find_project, read_project, settle
from builder.cli.environment import Environment
from builder.cli.fallback import usable
from builder.cli.installation import parsed_values, read_matrix, this_payload
from builder.cli.records import find_records
from builder.cli.reports import Report
from builder.cli.toolchains import Choice, Toolchains, choose
from builder.effects.digest_memo import DigestMemo
from builder.effects.machine import survey_machine
from builder.effects.parsed import ParsedValues
from builder.effects.publish import Publisher
from builder.effects.store import DiskStore
from builder.effects.survey import is_private, survey_model, survey_npz, unchanged
from builder.effects.trust import Trust
from builder.errors import UsageError
from builder.executor.execute import World, execute
from builder.matrix import select
from builder.model.model_limits import ModelLimits
from builder.model.receipt import Receipt
from builder.model.source import Source
from builder.model.target import Target
from builder.planning import BuildRequest, Plan, VerifyPolicy, plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options of ``build``, as click gives them."""

    model: Path | None
    targets: tuple[str, ...]
    all_targets: bool
    shapes: tuple[str, ...]
    dims: tuple[str, ...]
    freezes: tuple[str, ...]
    out: Path | None
    toolchain: Choice
    target_folders: tuple[Path, ...]
    jobs: int | None
    dry_run: bool
    as_json: bool
    verify: VerifyPolicy
    inputs: Path | None
    no_cache: bool
    seed: int
    name: str | None
    verbose: bool
    limits: ModelLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What planning and execution share: the cache, what is known of files, where steps run."""

    memo: DigestMemo
    store: DiskStore
    toolchains: Toolchains


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A build that is planned and can be carried out; bundles go to ``out``.

    ``again`` plans the same build with other toolchains; ``private`` are bundles whose model others
    may not read.
    """

    plan: Plan
    tools: Tools
    out: Path
    fresh: bool
    jobs: int
    private: bool
    verbose: bool
    again: Callable[[Toolchains], Work]

    def is_done(self) -> bool:
        """Say whether every bundle lies in the output folder or in the cache."""
        publisher, store = Publisher(self.out, self.tools.memo), self.tools.store
        return not self.fresh and all(
            publisher.is_current(self.plan.model, goal.target.name, goal.key)
            or (store.lookup(goal.key) and store.lookup(goal.assemble.key))
            for goal in self.plan.goals
        )

    def is_verified(self) -> bool:
        """Say whether every bundle is run before it is published."""
        return all(goal.verify for goal in self.plan.goals)


def lay_plans(flags: Flags, environment: Environment) -> Work:
    """Return the build that ``flags`` ask for; nothing has been done yet.

    Where the toolchain is ours to choose and the other kind has built it all, that is taken.
    Raises ``UsageError`` and ``ModelRefused`` for what cannot even be planned.
    """
    parsed = parsed_values(environment.cache_root)
    settings = _settings(flags, parsed, environment.trust)
    targets = _targets(flags, settings, parsed)
    memo = DigestMemo(environment.cache_root / "memo")
    store = DiskStore(environment.cache_root, memo)
    source = survey_model(settings.model, memo)

    def planned(toolchains: Toolchains) -> Work:
        tools = Tools(memo=memo, store=store, toolchains=toolchains)
        request = _request(flags, settings, targets, tools, environment)
        return Work(
            plan=plan(request, targets, source, toolchains.of),
            tools=tools,
            out=settings.out,
            fresh=flags.no_cache,
            jobs=flags.jobs or request.machine.cores,
            private=is_private(source),
            verbose=flags.verbose,
            again=planned,
        )

    return _or_what_is_done(planned(choose(flags.toolchain, targets, environment)))


def _or_what_is_done(work: Work) -> Work:
    otherwise = work.tools.toolchains.otherwise
    if otherwise is None or work.fresh or work.is_done():
        return work
    with suppress(UsageError):  # what cannot be used here may still have been, elsewhere
        other = work.again(otherwise())
        if other.is_done() and (other.is_verified() or not work.is_verified()):
            return other
    return work


def carry_out(work: Work, report: Report, cancel: threading.Event) -> tuple[Receipt, ...]:
    """Build, publish, and return a receipt for each target, failed ones too."""
    work = _usable(work, cancel)
    tools = work.tools
    with report:
        world = World(
            store=tools.store,
            workshops=tools.toolchains.workshop,
            publisher=Publisher(work.out, tools.memo, private=work.private),
            unchanged=lambda source: unchanged(source, tools.memo),
            clock=SystemClock(),
            emit=report,
            cancel=cancel,
            fresh=work.fresh,
        )
        return execute(work.plan, world, jobs=work.jobs)


def _usable(work: Work, cancel: threading.Event) -> Work:
    tools = work.tools
    if tools.toolchains.obtain is None or work.is_done():
        return work
    missing = [
        planned.step
        for planned in work.plan.steps
        if work.fresh or not tools.store.lookup(planned.key)
    ]
    toolchains = usable(tools.toolchains, missing, cancel, verbose=work.verbose)
    return work if toolchains is tools.toolchains else work.again(toolchains)


def _settings(flags: Flags, parsed: ParsedValues, trust: Trust) -> Settings:
    cwd = Path.cwd()
    file = find_project(cwd, trust)
    binding, frozen_file = read_binding(flags.shapes, flags.dims, flags.freezes)
    wishes = Wishes(
        model=flags.model,
        name=flags.name,
        patterns=("*",) if flags.all_targets else flags.targets,
        binding=binding,
        frozen_file=frozen_file,
        out=flags.out,
        inputs=flags.inputs,
        limits=flags.limits,
    )
    project = read_project(file, parsed) if file else None
    return settle(wishes, project, file.parent if file else cwd)


def _targets(flags: Flags, settings: Settings, parsed: ParsedValues) -> tuple[Target, ...]:
    texts = read_matrix(flags.target_folders)
    return parsed.get(
        tuple[Target, ...],
        [texts, settings.patterns],
        lambda: select(texts, settings.patterns),
    )


def _request(
    flags: Flags,
    settings: Settings,
    targets: Sequence[Target],
    tools: Tools,
    environment: Environment,
) -> BuildRequest:
    built = [board for target in targets for board in target.packs or (target,)]
    emulators = [target.emulator for target in built if target.emulator]
    return BuildRequest(
        model_name=settings.name,
        binding=settings.binding,
        frozen_inputs=_npz(settings.frozen_file, tools.memo),
        check_inputs=_npz(settings.inputs, tools.memo),
        seed=flags.seed,
        limits=settings.limits,
        verify=flags.verify,
        machine=survey_machine(emulators, search_path=environment.search_path),
        payload=this_payload(),
        versions=tools.toolchains.versions,
        records=find_records(settings.project, environment, dict(tools.toolchains.versions)),
    )


def _npz(file: Path | None, memo: DigestMemo) -> Source | None:
    return survey_npz(file, memo) if file else None
