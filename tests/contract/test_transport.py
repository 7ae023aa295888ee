"""What every transport promises: this machine, paramiko's server, OpenSSH with and without SFTP."""

from __future__ import annotations

import io
import os
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.errors import BoardwrightError, DeviceLost, DeviceRefused
from builder.ports import Transport
from tests.contract.transports import TRANSPORTS
from tests.processes import assert_ends, killed_at_the_end

LARGE = os.urandom(3_000_001)  # more than a window of SSH, and no multiple of anything
ODD_NAMES = ("with space", "quote'quote\"", "new\nline", "ünï-日本", "$(touch evil)", "-n", "*?[a]")


@pytest.fixture(scope="module", params=TRANSPORTS)
def board(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Transport]:
    with TRANSPORTS[request.param](tmp_path_factory.mktemp("board")) as transport:
        yield transport


@contextmanager
def refuses(reason: str) -> Iterator[None]:
    with pytest.raises(DeviceRefused) as refusal:
        yield
    assert refusal.value.reason == reason


@contextmanager
def loses(reason: str) -> Iterator[None]:
    with pytest.raises(DeviceLost) as loss:
        yield
    assert loss.value.reason == reason


def put(board: Transport, path: Path, content: bytes, *, offset: int = 0) -> None:
    board.put(io.BytesIO(content), str(path), offset=offset)


def get(board: Transport, path: Path, *, limit_bytes: int = 1 << 24) -> bytes:
    sink = io.BytesIO()
    size = board.get(str(path), sink, limit_bytes=limit_bytes)
    assert size == len(sink.getvalue())
    return sink.getvalue()


def sh(script: str, *arguments: str) -> tuple[str, ...]:
    return ("sh", "-c", script, "sh", *arguments)


class TestRun:
    def test_gives_status_and_both_streams(self, board: Transport) -> None:
        done = board.run(sh("echo out; echo err >&2; exit 3"))
        assert (done.status, done.stdout, done.stderr) == (3, b"out\n", b"err\n")

    def test_passes_every_argument_as_it_is(self, board: Transport) -> None:
        words = (*ODD_NAMES, "", "\\", "~", "a;b&c|d>e", "!x", "#", "{a,b}", "%s")
        done = board.run(("printf", "%s\\0", *words))
        assert done.stdout.decode().split("\0")[:-1] == list(words)

    def test_says_that_there_is_no_such_command(self, board: Transport) -> None:
        assert board.run(("no-such-command-here",)).status == 127

    def test_says_that_a_file_cannot_be_executed(self, board: Transport, tmp_path: Path) -> None:
        (tmp_path / "data").write_bytes(b"no program")
        assert board.run((str(tmp_path / "data"),)).status == 126

    def test_tells_the_signal_that_ended_a_command(self, board: Transport) -> None:
        assert board.run(sh("kill -SEGV $$")).status == 128 + signal.SIGSEGV

    def test_carries_any_bytes_both_ways(self, board: Transport) -> None:
        pieces = [LARGE[at : at + 100_000] for at in range(0, len(LARGE), 100_000)]
        done = board.run(("cat",), stdin=pieces, limit_bytes=len(LARGE))
        assert done.stdout == LARGE

    def test_closes_an_input_without_bytes(self, board: Transport) -> None:
        assert board.run(("cat",)).stdout == b""

    def test_a_command_need_not_read_its_input(self, board: Transport) -> None:
        assert board.run(("true",), stdin=[LARGE] * 4).status == 0

    def test_drains_errors_while_output_is_still_to_come(self, board: Transport) -> None:
        script = "head -c 3000000 /dev/zero >&2; head -c 2000000 /dev/zero"
        done = board.run(sh(script), limit_bytes=5_000_000)
        assert (len(done.stderr), len(done.stdout)) == (3_000_000, 2_000_000)

    def test_tells_output_as_it_comes(self, board: Transport) -> None:
        seen: list[bytes] = []
        answered = threading.Event()

        def answer(piece: bytes) -> None:
            seen.append(piece)
            answered.set()

        def wait_for_it() -> Iterator[bytes]:
            assert answered.wait(20)
            yield b"second\n"

        done = board.run(sh("echo first; cat"), stdin=wait_for_it(), on_stdout=answer)
        assert seen[0] == b"first\n"
        assert done.stdout == b"".join(seen) == b"first\nsecond\n"

    def test_an_open_input_holds_a_lock_until_it_closes(
        self, board: Transport, tmp_path: Path
    ) -> None:
        lock = str(tmp_path / "lock")
        held, release = threading.Event(), threading.Event()

        def until_released() -> Iterator[bytes]:
            release.wait(20)
            yield b""

        def hold() -> None:
            command = ("flock", "-n", lock, *sh("echo got; cat >/dev/null"))
            board.run(command, stdin=until_released(), on_stdout=lambda _: held.set())

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(20)
        assert board.run(("flock", "-n", lock, "true")).status == 1
        release.set()
        holder.join()
        assert board.run(("flock", "-n", lock, "true")).status == 0

    def test_abandons_an_input_that_waits_for_ever(self, board: Transport) -> None:
        def for_ever() -> Iterator[bytes]:
            threading.Event().wait()
            yield b""

        assert board.run(("true",), stdin=for_ever()).status == 0

    def test_a_failing_input_ends_the_command(self, board: Transport) -> None:
        def failing() -> Iterator[bytes]:
            yield b"some"
            raise LookupError("the source went away")

        with pytest.raises(LookupError):
            board.run(sh("cat; sleep 60"), stdin=failing())

    def test_a_failing_listener_ends_the_command(self, board: Transport) -> None:
        def failing(_piece: bytes) -> None:
            raise LookupError("the listener gave up")

        with pytest.raises(LookupError):
            board.run(sh("echo hello; sleep 60"), on_stdout=failing)

    def test_ends_a_command_that_takes_too_long(self, board: Transport, tmp_path: Path) -> None:
        with loses("timeout"):
            board.run(sh('echo $$ > "$1"; exec sleep 60', str(tmp_path / "pid")), timeout_s=1)
        assert_ends(int((tmp_path / "pid").read_text()))

    def test_ends_a_command_that_closed_its_output(self, board: Transport) -> None:
        with loses("timeout"):
            board.run(sh("exec >&- 2>&-; sleep 60"), timeout_s=1)

    @pytest.mark.parametrize("redirected", ["", ">&2"])
    def test_ends_a_command_that_says_too_much(
        self, board: Transport, tmp_path: Path, redirected: str
    ) -> None:
        script = f'echo $$ > "$1"; exec yes {redirected}'
        with loses("endless-output"):
            board.run(sh(script, str(tmp_path / "pid")), limit_bytes=100_000)
        assert_ends(int((tmp_path / "pid").read_text()))

    def test_output_up_to_the_limit_is_no_failure(self, board: Transport) -> None:
        done = board.run(sh("printf 12345; printf 678 >&2"), limit_bytes=8)
        assert (done.stdout, done.stderr) == (b"12345", b"678")

    def test_runs_from_several_threads_at_once(self, board: Transport) -> None:
        done: dict[int, bytes] = {}

        def run(number: int) -> None:
            done[number] = board.run(("cat",), stdin=[str(number).encode() * 50_000]).stdout

        threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done == {number: str(number).encode() * 50_000 for number in range(6)}


class TestPutAndGet:
    @pytest.mark.parametrize("size", [0, 1, 32_000, 32_001, len(LARGE)])
    def test_a_file_arrives_whole(self, board: Transport, tmp_path: Path, size: int) -> None:
        put(board, tmp_path / "file", LARGE[:size])
        assert (tmp_path / "file").read_bytes() == LARGE[:size]
        assert get(board, tmp_path / "file") == LARGE[:size]

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_any_name_is_only_a_name(self, board: Transport, tmp_path: Path, name: str) -> None:
        put(board, tmp_path / name, b"content")
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert get(board, tmp_path / name) == b"content"

    def test_a_new_file_is_its_owners_alone(self, board: Transport, tmp_path: Path) -> None:
        put(board, tmp_path / "file", b"content")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600

    def test_an_existing_file_is_cut_first(self, board: Transport, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"a long content")
        put(board, tmp_path / "file", b"short")
        assert (tmp_path / "file").read_bytes() == b"short"

    def test_an_empty_source_cuts_too(self, board: Transport, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"content")
        put(board, tmp_path / "file", b"", offset=3)
        assert (tmp_path / "file").read_bytes() == b"con"

    def test_goes_on_where_it_stopped(self, board: Transport, tmp_path: Path) -> None:
        half = len(LARGE) // 2
        put(board, tmp_path / "file", LARGE[:half] + b"rubbish")
        put(board, tmp_path / "file", LARGE[half:], offset=half)
        assert (tmp_path / "file").read_bytes() == LARGE

    def test_sends_what_is_left_of_the_source(self, board: Transport, tmp_path: Path) -> None:
        source = io.BytesIO(b"skipped-sent")
        source.seek(8)
        board.put(source, str(tmp_path / "file"))
        assert (tmp_path / "file").read_bytes() == b"sent"

    def test_tells_how_far_it_is(self, board: Transport, tmp_path: Path) -> None:
        told: list[int] = []
        board.put(io.BytesIO(LARGE), str(tmp_path / "file"), on_sent=told.append)
        assert told == sorted(told)
        assert len(told) > 10
        assert told[-1] == len(LARGE)

    def test_refuses_a_planted_link(self, board: Transport, tmp_path: Path) -> None:
        (tmp_path / "victim").write_bytes(b"precious")
        (tmp_path / "file").symlink_to(tmp_path / "victim")
        with refuses("planted-link"):
            put(board, tmp_path / "file", b"evil")
        assert (tmp_path / "victim").read_bytes() == b"precious"

    def test_refuses_a_link_to_nothing(self, board: Transport, tmp_path: Path) -> None:
        (tmp_path / "file").symlink_to(tmp_path / "nothing")
        with refuses("planted-link"):
            put(board, tmp_path / "file", b"evil")
        assert not (tmp_path / "nothing").exists()

    @pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
    def test_refuses_what_is_no_file(
        self, board: Transport, tmp_path: Path, make: Callable[[Path], None]
    ) -> None:
        make(tmp_path / "odd")
        with refuses("not-a-file"):
            put(board, tmp_path / "odd", b"content")
        with refuses("not-a-file"):
            get(board, tmp_path / "odd")

    def test_says_that_the_folder_is_missing(self, board: Transport, tmp_path: Path) -> None:
        with refuses("no-folder"):
            put(board, tmp_path / "absent" / "file", b"content")

    def test_says_that_the_folder_is_a_file(self, board: Transport, tmp_path: Path) -> None:
        (tmp_path / "plain").touch()
        with refuses("no-folder"):
            put(board, tmp_path / "plain" / "file", b"content")

    def test_says_that_it_may_not(self, board: Transport) -> None:
        # Even root may not write this one.
        with refuses("no-permission"):
            put(board, Path("/proc/sys/kernel/ostype"), b"content")

    def test_says_that_the_program_runs(self, board: Transport, tmp_path: Path) -> None:
        program = tmp_path / "program"
        shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
        running = killed_at_the_end(subprocess.Popen([program, "60"]))
        with running, refuses("file-busy"):
            put(board, program, b"content")

    def test_says_that_the_disk_is_full(self, board: Transport, small_disk: Path) -> None:
        with refuses("no-space"):
            put(board, small_disk / "file", LARGE)
        assert [path.name for path in small_disk.iterdir()] == ["file"]

    def test_a_full_disk_is_found_by_the_last_byte_too(
        self, board: Transport, small_disk: Path
    ) -> None:
        # 64 KiB fit; the answer to the write that does not comes after the source has ended.
        with refuses("no-space"):
            put(board, small_disk / "file", LARGE[: (64 << 10) + 1])

    def test_says_that_the_disk_is_read_only(self, board: Transport, small_disk: Path) -> None:
        (small_disk / "old").touch()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        for name in ("old", "new"):
            with refuses("read-only"):
                put(board, small_disk / name, b"content")

    def test_says_that_there_is_no_file(self, board: Transport, tmp_path: Path) -> None:
        with refuses("no-file"):
            get(board, tmp_path / "absent")

    def test_takes_no_more_than_it_was_told(self, board: Transport, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(LARGE)
        assert get(board, tmp_path / "file", limit_bytes=len(LARGE)) == LARGE
        sink = io.BytesIO()
        with loses("endless-output"):
            board.get(str(tmp_path / "file"), sink, limit_bytes=len(LARGE) - 1)
        assert len(sink.getvalue()) < len(LARGE)

    def test_reads_a_file_whose_size_is_not_told(self, board: Transport) -> None:
        assert get(board, Path("/proc/self/stat"))

    def test_a_failing_source_leaves_the_board_usable(
        self, board: Transport, tmp_path: Path
    ) -> None:
        class Failing(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() > 100_000:
                    raise LookupError("the source went away")
                return super().read(size)

        with pytest.raises(LookupError):
            board.put(Failing(LARGE), str(tmp_path / "file"))
        put(board, tmp_path / "file", b"content")
        assert get(board, tmp_path / "file") == b"content"

    def test_files_from_several_threads_at_once(self, board: Transport, tmp_path: Path) -> None:
        failures: list[BoardwrightError] = []

        def both(number: int) -> None:
            content = LARGE[number * 1000 :]
            try:
                put(board, tmp_path / str(number), content)
                assert get(board, tmp_path / str(number)) == content
            except BoardwrightError as failure:
                failures.append(failure)

        threads = [threading.Thread(target=both, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)
