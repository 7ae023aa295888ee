"""What a workshop promises, on the fake and with real processes that stand in for the payload."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builder.effects.local_workshop import LocalWorkshop
from builder.errors import BoardwrightError, BuildFailed, Interrupted, ModelRefused
from builder.model.binding import Binding
from builder.model.source import Source
from builder.ports import Workshop
from builder.steps import BuildRuntime, Prepare, Step
from builder.wire import load_job
from tests.fakes import FakeWorkshop
from tests.nouns import LOCAL, a_source, a_target
from tests.processes import assert_ends

REPOSITORY = Path(__file__).parents[2]
RUNTIME = BuildRuntime(toolchain=LOCAL, platform=a_target().platform)
PREPARE = Prepare(
    toolchain=LOCAL,
    source=a_source(),
    binding=Binding(),
    frozen_inputs=None,
    check_inputs=None,
    seed=0,
)

SPEAKING = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
job = json.loads(Path(sys.argv[1]).read_text())
output, scratch = Path(job["output"]), Path(job["scratch"])
def say(**event): print(json.dumps(event), flush=True)
def failure(kind, reason):
    return {"error": kind, "reason": reason, "what": "no", "where": "node", "details": {"n": 1}}
"""
WORKING = "say(event='log', line='RUNTIME'); (output / 'artifact').touch(); say(event='done')"


class Desk:
    """A local workshop whose payload is a small program, and everything it was told."""

    def __init__(self, tmp_path: Path) -> None:
        self.cache = tmp_path / "cache"
        self.output = tmp_path / "output"
        self.output.mkdir()
        self.logged: list[str] = []
        self.cancel = threading.Event()
        self.environ = dict(os.environ)

    def workshop(self, program: str) -> LocalWorkshop:
        command = (sys.executable, "-c", SPEAKING + program)
        return LocalWorkshop(sys.executable, self.cache, self.environ, command)

    def run(self, program: str, step: Step = RUNTIME) -> None:
        self.perform(self.workshop(program), step)

    def perform(self, workshop: Workshop, step: Step = RUNTIME) -> None:
        sources: dict[str, Source] = {}
        if isinstance(step, Prepare):
            sources["model"] = step.source
        workshop.perform(
            step,
            inputs={},
            sources=sources,
            output=self.output,
            log=self.logged.append,
            cancel=self.cancel,
        )

    def failure(self, program: str, step: Step = RUNTIME) -> BoardwrightError:
        with pytest.raises(BoardwrightError) as caught:
            self.run(program, step)
        assert list(self.output.iterdir()) == []
        assert list((self.cache / "tmp").iterdir()) == []
        return caught.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(params=["fake", "local"])
def workshop(request: pytest.FixtureRequest, desk: Desk) -> Workshop:
    return FakeWorkshop() if request.param == "fake" else desk.workshop(WORKING)


class TestEveryWorkshop:
    def test_fills_the_output(self, desk: Desk, workshop: Workshop) -> None:
        desk.perform(workshop)
        assert [path.name for path in desk.output.iterdir()] == ["artifact"]

    def test_passes_on_what_is_said(self, desk: Desk, workshop: Workshop) -> None:
        desk.perform(workshop)
        assert len(desk.logged) == 1


class TestConversation:
    def test_the_payload_gets_its_job(self, desk: Desk) -> None:
        desk.run(
            "assert sys.argv[2:] == ['--watch-stdin']; import shutil;"
            "shutil.copy(sys.argv[1], output / 'job'); say(event='done')",
            step=PREPARE,
        )
        job = load_job((desk.output / "job").read_text(encoding="utf-8"))
        assert (job.step, job.output) == (PREPARE, desk.output)
        assert job.sources == {"model": PREPARE.source.root}

    def test_lines_of_both_streams_arrive(self, desk: Desk) -> None:
        desk.run(
            "print('not json'); print('[1]'); sys.stderr.write('tool\\nhalf');"
            "say(event='log', line='said'); say(event='odd'); say(event='done')"
        )
        assert {"not json", "[1]", "tool", "half", "said", '{"event": "odd"}'} == set(desk.logged)

    def test_a_flood_on_both_streams_neither_blocks_nor_fills_the_memory(self, desk: Desk) -> None:
        desk.run(
            "for _ in range(40): sys.stderr.write('e' * 100_000); sys.stdout.write('o' * 100_000)\n"
            "print(); say(event='done')"
        )
        assert max(map(len, desk.logged)) <= 4096

    def test_bytes_that_are_no_text_are_replaced(self, desk: Desk) -> None:
        desk.run("os.write(2, b'\\xff\\xfe\\x1b[2J\\n'); say(event='done')")
        assert len(desk.logged) == 1
        assert desk.logged[0].isprintable()

    def test_the_payloads_own_failure_is_raised(self, desk: Desk) -> None:
        failure = desk.failure(
            "(output / 'half').touch();"
            "say(event='failed', failure=failure('ModelRefused', 'unsupported')); sys.exit(3)"
        )
        assert isinstance(failure, ModelRefused)
        assert (failure.reason, failure.where, failure.details) == ("unsupported", "node", {"n": 1})

    @pytest.mark.parametrize(
        "program",
        [
            "sys.exit(1)",
            "sys.exit(0)",
            "say(event='done'); sys.exit(1)",
            "say(event='failed', failure='no object'); sys.exit(1)",
            "1 / 0",
        ],
    )
    def test_an_end_without_a_reason_is_a_failure(self, desk: Desk, program: str) -> None:
        failure = desk.failure(program)
        assert (type(failure), failure.reason) == (BuildFailed, "payload-died")
        assert failure.remedy

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
    def test_a_deadly_signal_is_named(self, desk: Desk, number: signal.Signals) -> None:
        failure = desk.failure(f"print('last words', flush=True); os.kill(os.getpid(), {number})")
        assert failure.reason == "payload-died"
        assert number.name in failure.what
        assert failure.details == {"status": -number, "log": ["last words"]}

    def test_what_crashes_preparation_may_be_the_model(self, desk: Desk) -> None:
        crash = "os.kill(os.getpid(), signal.SIGSEGV)"
        assert desk.failure(crash, PREPARE).remedy != desk.failure(crash, RUNTIME).remedy

    def test_a_program_that_is_not_there_is_a_failure(self, desk: Desk) -> None:
        workshop = LocalWorkshop("/no/such/python", desk.cache, {})
        with pytest.raises(BuildFailed) as caught:
            desk.perform(workshop)
        assert caught.value.reason == "payload-unstartable"

    def test_a_log_that_raises_ends_the_payload(self, desk: Desk) -> None:
        workshop = desk.workshop("say(event='log', line='x'); time.sleep(60)")
        with pytest.raises(BrokenPipeError):
            workshop.perform(
                RUNTIME,
                inputs={},
                sources={},
                output=desk.output,
                log=_broken_pipe,
                cancel=desk.cancel,
            )


class TestSurroundings:
    def test_only_what_is_needed_is_passed_on(self, desk: Desk) -> None:
        desk.environ = {
            "PATH": os.environ["PATH"],
            "OMP_NUM_THREADS": "1",
            "SECRET": "token",
            "PYTHONHASHSEED": "7",
            "PYTHONPATH": "/elsewhere",
            "LANG": "tr_TR.UTF-8",
            "TZ": "Asia/Kolkata",
        }
        desk.run("say(event='log', line=','.join(sorted(os.environ))); say(event='done')")
        names = set(desk.logged[0].split(",")) - {"LC_CTYPE"}
        assert names == {"LC_ALL", "OMP_NUM_THREADS", "PATH", "PYTHONPATH", "TMPDIR", "TZ"}

    def test_the_same_package_is_importable_from_anywhere(self, desk: Desk) -> None:
        desk.run("import builder; say(event='log', line=builder.__file__); say(event='done')")
        assert desk.logged == [str(REPOSITORY / "builder" / "__init__.py")]

    def test_scratch_is_writable_and_removed(self, desk: Desk) -> None:
        desk.run(
            "import tempfile; tempfile.mkstemp(); (scratch / 'x').touch();"
            "assert Path.cwd() == scratch; say(event='done')"
        )
        assert list((desk.cache / "tmp").iterdir()) == []

    def test_the_compilers_cache_is_kept(self, desk: Desk) -> None:
        desk.run("(Path(job['zig_cache']) / 'libc.a').touch(); say(event='done')")
        assert (desk.cache / "zig" / "libc.a").exists()

    def test_a_cache_that_cannot_be_written_says_so(self, desk: Desk) -> None:
        desk.cache.write_text("a file")
        with pytest.raises(BuildFailed) as caught:
            desk.run(WORKING)
        assert caught.value.reason == "cache-unwritable"


GRANDCHILD = """
child = subprocess.Popen((sys.executable, "-c", {program!r}))
say(event="log", line=str(child.pid))
"""
SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


class TestEnding:
    @pytest.mark.parametrize("program", [SLEEP, DEAF], ids=["heeding", "ignoring"])
    def test_cancelling_ends_all_processes_soon(self, desk: Desk, program: str) -> None:
        threading.Timer(0.4, desk.cancel.set).start()
        began_s = time.monotonic()
        failure = desk.failure(GRANDCHILD.format(program=program) + program)
        assert isinstance(failure, Interrupted)
        assert time.monotonic() - began_s < 4
        assert_ends(int(desk.logged[0]))

    def test_nothing_starts_once_cancelled(self, desk: Desk) -> None:
        desk.cancel.set()
        assert isinstance(desk.failure("time.sleep(60)"), Interrupted)

    @pytest.mark.parametrize("end", ["say(event='done')", "sys.exit(1)"])
    def test_what_the_payload_leaves_running_is_ended(self, desk: Desk, end: str) -> None:
        program = GRANDCHILD.format(program="while True: print('noise')") + end
        if "done" in end:
            desk.run(program)
        else:
            desk.failure(program)
        assert_ends(next(int(line) for line in desk.logged if line.isdecimal()))

    def test_a_payload_feels_that_its_client_was_killed(self, desk: Desk, tmp_path: Path) -> None:
        payload = (
            "from builder.payload.protocol import die_with_parent; die_with_parent();"
            + GRANDCHILD.format(program=SLEEP)
            + SLEEP
        )
        client = f"""
import sys, threading
from pathlib import Path
from tests.contract.test_local_workshop import Desk
desk = Desk(Path({str(tmp_path / "client")!r}))
desk.logged = type("Echo", (), {{"append": lambda self, line: print(line, flush=True)}})()
desk.run({payload!r})
"""
        (tmp_path / "client").mkdir()
        process = subprocess.Popen(
            (sys.executable, "-c", client), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        grandchild = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert_ends(grandchild)


def _broken_pipe(line: str) -> None:
    raise BrokenPipeError(line)
