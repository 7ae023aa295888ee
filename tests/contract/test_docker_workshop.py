"""A workshop in a container keeps its promises, on a real engine, with payloads that do not."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.effects.docker_container import Limits
from builder.effects.docker_engine import DockerEngine, connect
from builder.effects.docker_images import Images
from builder.effects.docker_owner import LABEL, Owner
from builder.effects.docker_workshop import DockerWorkshop
from builder.errors import BoardwrightError, BuildFailed, IntegrityError, Interrupted, ModelRefused
from builder.model.source import Source, SourceFile
from builder.model.target import Libc, Platform
from builder.model.toolchain import ImageToolchain
from builder.ports import Log
from builder.steps import BuildRuntime
from tests.contract.docker_fixtures import LOCKS, Link, a_small_toolchain, an_engine
from tests.processes import killed_at_the_end

pytestmark = pytest.mark.docker

PLATFORM = Platform(arch="x86_64", libc=Libc(family="glibc", floor="2.17"))
DONE = 'print(\'{"event": "done"}\')'


@pytest.fixture(scope="session")
def engine() -> DockerEngine:
    return an_engine()


@pytest.fixture(scope="session")
def toolchain(engine: DockerEngine) -> ImageToolchain:
    made = a_small_toolchain()
    images_of(engine).ensure(made, log=print, cancel=threading.Event())
    return made


@pytest.fixture
def link(tmp_path: Path, engine: DockerEngine) -> Iterator[Link]:
    if engine.endpoint.url != "unix:///var/run/docker.sock":
        pytest.skip("only the local socket is put behind a link that can be cut")
    made = Link(tmp_path / "link.sock")
    yield made
    made.cut()
    gc.collect()  # the SDK drops a socket that it could not connect; let that be said here


@pytest.fixture
def through_link(link: Link, engine: DockerEngine) -> DockerEngine:
    return dataclasses.replace(connect({"DOCKER_HOST": link.url}), timeout_s=1.0)


@pytest.fixture(autouse=True)
def nothing_is_left(engine: DockerEngine) -> Iterator[None]:
    yield
    assert containers(engine) == set()


def images_of(engine: DockerEngine) -> Images:
    environ = {name: value for name, value in os.environ.items() if name.startswith("PIP_INDEX")}
    return Images(engine=engine, locks=LOCKS, build_arguments=environ)


def containers(engine: DockerEngine, pid: int | None = None) -> set[str]:
    """Return the containers of this process, or of another: the engine may be at work for many."""
    with engine.client() as client:
        found = client.containers(all=True, filters={"label": LABEL})
    owners = {item["Id"]: Owner.from_label(item["Labels"][LABEL]) for item in found}
    wanted = pid or os.getpid()
    return {container for container, owner in owners.items() if owner and owner.pid == wanted}


class Shop:
    """A workshop whose payload is a few lines of Python, and what came of them."""

    def __init__(
        self, engine: DockerEngine, toolchain: ImageToolchain, output: Path, limits: Limits
    ) -> None:
        self.engine, self.toolchain, self.output, self.limits = engine, toolchain, output, limits
        self.lines: list[str] = []
        self.cancel = threading.Event()
        self.heard = threading.Event()
        self.hear: Log = self._listen

    def perform(
        self,
        script: str,
        inputs: Mapping[str, Path] | None = None,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        prelude = "import json, os, sys; from pathlib import Path; out = Path('/job/output')\n"
        command = ("python", "-u", "-c", prelude + textwrap.dedent(script))
        workshop = DockerWorkshop(
            images=images_of(self.engine), limits=self.limits, command=command
        )
        workshop.perform(
            BuildRuntime(toolchain=self.toolchain, platform=PLATFORM),
            inputs=inputs or {},
            sources=sources or {},
            output=self.output,
            log=self.hear,
            cancel=self.cancel,
        )

    def failure(self, script: str) -> BoardwrightError:
        with pytest.raises(BoardwrightError) as caught:
            self.perform(script)
        return caught.value

    @contextmanager
    def failing(self, script: str) -> Iterator[list[BoardwrightError]]:
        """Perform in a thread; give the list its failure will be in once the block is left."""
        failures: list[BoardwrightError] = []
        thread = threading.Thread(target=lambda: failures.append(self.failure(script)))
        thread.start()
        assert self.heard.wait(30), "the payload never spoke"
        try:
            yield failures
        except BaseException:
            self.cancel.set()
            raise
        finally:
            thread.join(30)
        assert not thread.is_alive()

    def _listen(self, line: str) -> None:
        self.lines.append(line)
        self.heard.set()


@pytest.fixture
def shop(engine: DockerEngine, toolchain: ImageToolchain, tmp_path: Path) -> Shop:
    output = tmp_path / "output"
    output.mkdir()
    return Shop(engine, toolchain, output, Limits(memory_bytes=256 << 20))


def test_the_artifact_comes_back_with_its_modes(shop: Shop) -> None:
    shop.perform(
        f"""
        os.umask(0o077)
        (out / 'bin').mkdir()
        (out / 'bin/run').write_bytes(b'ELF' * 1_000_000)
        (out / 'bin/run').chmod(0o700)
        (out / 'empty').touch()
        {DONE}
        """
    )
    found = {p.relative_to(shop.output).as_posix(): p for p in shop.output.rglob("*")}
    assert {name: path.stat().st_mode & 0o777 for name, path in found.items()} == {
        "bin": 0o755,
        "bin/run": 0o755,
        "empty": 0o644,
    }
    assert found["bin/run"].read_bytes() == b"ELF" * 1_000_000
    assert shop.output.stat().st_mode & 0o777 == 0o755


def test_both_streams_are_logged_line_by_line(shop: Shop) -> None:
    shop.perform(
        f"""
        print(json.dumps({{"event": "log", "line": "an event"}}))
        print("not an event \\x1b[2J")
        sys.stderr.write("a tool\\nwithout end")
        {DONE}
        """
    )
    assert sorted(shop.lines) == [
        "a tool",
        "an event",
        "not an event \N{REPLACEMENT CHARACTER}[2J",
        "without end",
    ]


def test_the_job_its_files_and_the_program_are_there(shop: Shop, tmp_path: Path) -> None:
    artifact, root = tmp_path / "artifact", tmp_path / "models"
    (artifact / "check").mkdir(parents=True)
    (artifact / "check" / "x.npy").write_text("an input", encoding="utf-8")
    root.mkdir()
    (root / "model.onnx").write_text("a model", encoding="utf-8")
    file = SourceFile(path="model.onnx", sha256="0" * 64, size_bytes=7)
    shop.perform(
        f"""
        import builder.errors, builder.package_files as files
        job = json.loads(Path('/job/job.json').read_text())
        print(job['step']['kind'])
        print((Path(job['inputs']['prepared']) / 'check/x.npy').read_text())
        print((Path(job['sources']['model']) / 'model.onnx').read_text())
        print(sorted(p.name for p in files.templates_root().iterdir() if p.name == 'runtime'))
        print(all(os.access(job[name], os.W_OK) for name in ('output', 'scratch', 'zig_cache')))
        {DONE}
        """,
        inputs={"prepared": artifact},
        sources={"model": Source(files=(file,), root=root)},
    )
    assert shop.lines == ["BuildRuntime", "an input", "a model", "['runtime']", "True"]


def test_the_container_can_do_nothing_but_its_work(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact" / "file").touch()
    shop.perform(
        f"""
        def refused(act):
            try:
                act()
            except OSError:
                return True
            return False

        import socket
        status = dict(
            line.split(':\\t', 1) for line in Path('/proc/self/status').read_text().splitlines()
        )
        print(json.dumps({{
            'ids': sorted({{os.getuid(), os.getgid(), *os.getgroups()}}),
            'interfaces': sorted(os.listdir('/sys/class/net')),
            'capabilities': int(status['CapEff'], 16) | int(status['CapBnd'], 16),
            'no_new_privs': status['NoNewPrivs'].strip(),
            'no root': refused(lambda: Path('/etc/x').touch()),
            'no home': refused(lambda: Path('/opt/boardwright/x').touch()),
            'no input': refused(lambda: Path('/job/inputs/a/file').write_text('x')),
            'no program': refused(lambda: Path('/job/package/builder/errors.py').unlink()),
            'no network': refused(lambda: socket.create_connection(('192.0.2.1', 80), 1)),
            'no names': refused(lambda: socket.getaddrinfo('example.org', 80)),
            'init': Path('/proc/1/comm').read_text().strip() != 'python',
        }}))
        {DONE}
        """,
        inputs={"a": tmp_path / "artifact"},
    )
    facts = json.loads(shop.lines[0])
    assert facts.pop("ids") == [10001]
    assert facts.pop("interfaces") == ["lo"]
    assert (facts.pop("capabilities"), facts.pop("no_new_privs")) == (0, "1")
    assert facts == dict.fromkeys(facts, True)


def test_processes_are_bounded(shop: Shop) -> None:
    shop.limits = Limits(memory_bytes=256 << 20, processes=20)
    shop.perform(
        f"""
        children = 0
        try:
            while children < 100:
                if os.fork() == 0:
                    __import__('time').sleep(60)
                children += 1
        except BlockingIOError:
            print('bounded')
        {DONE}
        """
    )
    assert shop.lines == ["bounded"]


def test_the_payloads_own_failure_is_raised(shop: Shop) -> None:
    refused = ModelRefused("no", reason="dynamic-shape", where="node Add_1", details={"rank": 4})
    said = {"event": "failed", "failure": refused.to_json()}
    failure = shop.failure(f"print(json.dumps({said!r})); sys.exit(3)")
    assert isinstance(failure, ModelRefused)
    assert failure.to_json() == refused.to_json()


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("print('last words'); sys.exit(7)", 7),
        ("print('last words')", 0),
        (f"print('last words'); {DONE}; sys.exit(2)", 2),
        ("print('last words'); os.kill(os.getpid(), 11)", -11),
    ],
)
def test_an_end_without_a_reason_is_a_death(shop: Shop, script: str, status: int) -> None:
    failure = shop.failure(script)
    assert (failure.reason, failure.details["status"]) == ("payload-died", status)
    assert failure.details["log"] == ["last words"]


@pytest.mark.parametrize("who", ["the payload", "its tool"])
def test_memory_is_bounded_and_named(shop: Shop, who: str) -> None:
    shop.limits = Limits(memory_bytes=64 << 20)
    greedy = "held = bytearray(1 << 30)"
    said = {"event": "failed", "failure": BuildFailed("cc", reason="compiler").to_json()}
    by_tool = f"""
        import subprocess
        subprocess.run([sys.executable, '-c', {greedy!r}])
        print(json.dumps({said!r})); sys.exit(4)
        """
    failure = shop.failure(greedy if who == "the payload" else by_tool)
    assert isinstance(failure, BuildFailed)
    assert failure.reason == "out-of-memory"


@pytest.mark.parametrize(
    "deed",
    [
        "(out / 'x').symlink_to('/etc/passwd')",
        "os.mkfifo(out / 'x')",
        "(out / 'a').touch(); os.link(out / 'a', out / 'x')",
        "(out / 'new\\nline').touch()",
        "out.rmdir(); out.symlink_to('/etc')",
    ],
)
def test_a_hostile_artifact_is_refused(shop: Shop, deed: str) -> None:
    failure = shop.failure(f"{deed}\n{DONE}")
    assert isinstance(failure, IntegrityError)
    assert failure.reason == "hostile-artifact"


def test_cancelling_stops_it_within_two_seconds(shop: Shop) -> None:
    with shop.failing("print('working'); __import__('time').sleep(600)") as failures:
        began_s = time.monotonic()
        shop.cancel.set()
    assert isinstance(failures[0], Interrupted)
    assert time.monotonic() - began_s < 2.0


def test_a_stopped_build_does_not_begin(shop: Shop) -> None:
    shop.cancel.set()
    assert isinstance(shop.failure(DONE), Interrupted)


def test_a_flood_of_output_is_read_to_its_end(shop: Shop) -> None:
    shop.perform(
        f"""
        for n in range(20_000):
            print(n, 'x' * 60)
            n % 2 or print(n, file=sys.stderr)
        {DONE}
        """
    )
    assert len(shop.lines) == 30_000


def test_a_broken_pipe_of_our_own_is_not_the_engines(shop: Shop) -> None:
    shop.hear = broken_pipe
    with pytest.raises(BrokenPipeError):
        shop.perform("print('to nobody'); __import__('time').sleep(600)")


def broken_pipe(line: str) -> None:
    raise BrokenPipeError(line)


def test_two_steps_at_once_do_not_meet(
    engine: DockerEngine, toolchain: ImageToolchain, tmp_path: Path
) -> None:
    shops = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shops.append(Shop(engine, toolchain, tmp_path / name, Limits(memory_bytes=256 << 20)))
    scripts = [f"(out / '{shop.output.name}').touch(); {DONE}" for shop in shops]
    threads = [
        threading.Thread(target=shop.perform, args=(script,))
        for shop, script in zip(shops, scripts, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [sorted(p.name for p in shop.output.iterdir()) for shop in shops] == [["one"], ["two"]]


def test_a_killed_client_leaves_nothing_after_the_next_start(
    shop: Shop, tmp_path: Path, engine: DockerEngine
) -> None:
    with killed_client(tmp_path, "import time; time.sleep(600)") as pid:
        assert len(containers(engine, pid)) == 1
    shop.perform(DONE)
    assert containers(engine, pid) == set()


def test_a_running_clients_container_is_not_swept(shop: Shop, engine: DockerEngine) -> None:
    with shop.failing("print('working'); __import__('time').sleep(600)"):
        engine.sweep()
        assert len(containers(engine)) == 1
        shop.cancel.set()


def test_a_killed_client_is_felt_by_the_payload(tmp_path: Path, engine: DockerEngine) -> None:
    with killed_client(tmp_path, "sys.stdin.read()") as pid:
        (container,) = containers(engine, pid)
    assert eventually(lambda: not is_running(engine, container))
    engine.sweep()
    assert containers(engine, pid) == set()


@contextmanager
def killed_client(folder: Path, script: str) -> Iterator[int]:
    """Give the id of a client process whose payload is at work; kill -9 it on leaving."""
    program = f"""
        from pathlib import Path
        from builder.effects.docker_container import Limits
        from tests.contract.docker_fixtures import a_small_toolchain, an_engine
        from tests.contract.test_docker_workshop import Shop
        output = Path({str(folder)!r}) / "client"
        output.mkdir()
        shop = Shop(an_engine(), a_small_toolchain(), output, Limits(memory_bytes=256 << 20))
        shop.hear = lambda line: print(line, flush=True)
        shop.perform({"print('working'); " + script!r})
        """
    argv = (sys.executable, "-c", textwrap.dedent(program))
    client = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    with killed_at_the_end(client):
        assert client.stdout is not None
        assert client.stdout.readline() == b"working\n"
        yield client.pid


def is_running(engine: DockerEngine, container: str) -> bool:
    with engine.client() as client:
        return bool(client.inspect_container(container)["State"]["Running"])


def eventually(holds: Callable[[], bool], *, within_s: float = 15.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_a_lost_engine_is_a_failure_not_a_hang(
    shop: Shop, how: str, link: Link, through_link: DockerEngine, engine: DockerEngine
) -> None:
    shop.engine = through_link
    with shop.failing("print('working'); __import__('time').sleep(600)") as failures:
        left = containers(engine)
        getattr(link, how)()
    assert isinstance(failures[0], BuildFailed)
    assert failures[0].reason == "engine-lost"
    assert engine.sweep(lambda found: found.container in left) == len(left) == 1
