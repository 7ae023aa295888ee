"""What a connection's bytes, and their absence, are taken for."""

from __future__ import annotations

import pytest

from builder.effects.ssh.wire import SILENCE_S, Wire


class Deaf:
    """A peer that reads only what it is told to, and cannot be hung up on."""

    def __init__(self) -> None:
        self.reads = False

    def send(self, data: bytes, /) -> int:
        if not self.reads:
            raise TimeoutError
        return len(data)

    def recv(self, size: int, /) -> bytes:
        return bytes(size)

    def settimeout(self, timeout_s: float | None, /) -> None:
        pass

    def close(self) -> None:
        raise OSError("gone")


def tries_until_given_up(wire: Wire) -> int:
    for tries in range(1, 1000):
        try:
            wire.send(b"x")
        except ConnectionAbortedError:
            return tries
        except TimeoutError:
            continue
    pytest.fail("it was never given up")


def test_a_peer_that_never_reads_is_given_up() -> None:
    wire = Wire(Deaf())
    wire.settimeout(0.5)
    assert tries_until_given_up(wire) == SILENCE_S / 0.5


def test_a_peer_that_reads_now_and_then_is_not() -> None:
    peer = Deaf()
    wire = Wire(peer)
    wire.settimeout(5.0)
    for reads in (False, False, True, False, False):
        peer.reads = reads
        if reads:
            assert wire.send(b"x") == 1
        else:
            with pytest.raises(TimeoutError):
                wire.send(b"x")


def test_counts_what_it_hears() -> None:
    wire = Wire(Deaf())
    wire.recv(3)
    wire.recv(4)
    assert wire.heard_bytes == 7


def test_hangs_up_without_a_word() -> None:
    Wire(Deaf()).close()
