"""What the lines of known_hosts files say of a key."""

from __future__ import annotations

import base64

import paramiko
import pytest

from builder.effects.ssh.known_hosts import (
    KnownKey,
    Verdict,
    fingerprint,
    host_name,
    judge,
    keys_of,
    parse,
)

OURS, OTHERS, NEW = b"ours", b"others", b"new"


def line(hosts: str, blob: bytes = OURS, kind: str = "ssh-ed25519") -> str:
    return f"{hosts} {kind} {base64.b64encode(blob).decode()} a comment\n"


def known(text: str, host: str) -> tuple[KnownKey, ...]:
    return keys_of(host, parse(text, "known_hosts"))


class TestWhichLines:
    @pytest.mark.parametrize(
        "hosts",
        [
            "board",
            "other,board",
            "*",
            "b*d",
            "BOARD",
            pytest.param(paramiko.HostKeys.hash_host("board"), id="hashed"),
        ],
    )
    def test_are_about_a_host(self, hosts: str) -> None:
        assert [key.blob for key in known(line(hosts), "board")] == [OURS]

    @pytest.mark.parametrize(
        "hosts",
        [
            "boards",
            "!board,*",
            "[board]:2222",
            pytest.param(paramiko.HostKeys.hash_host("other"), id="hashed"),
            "|1|x",
            "|1|",
        ],
    )
    def test_are_not(self, hosts: str) -> None:
        assert known(line(hosts), "board") == ()

    @pytest.mark.parametrize(
        "hosts",
        [
            "Board-A",
            "board-a",
            "BOARD-*",
            "!x,bOARD-?",
            pytest.param(paramiko.HostKeys.hash_host("board-a"), id="hashed"),
            pytest.param(paramiko.HostKeys.hash_host("Board-A"), id="hashed-as-written"),
        ],
    )
    def test_are_found_whatever_case_either_side_has(self, hosts: str) -> None:
        assert [key.blob for key in known(line(hosts), "Board-A")] == [OURS]

    def test_an_exception_holds_whatever_its_case(self) -> None:
        assert known(line("!BOARD-A,*"), "Board-A") == ()

    def test_a_port_is_part_of_the_name(self) -> None:
        text = line("[board]:2222") + line(paramiko.HostKeys.hash_host("[board]:2222"), OTHERS)
        assert [key.blob for key in known(text, host_name("Board", 2222))] == [OURS, OTHERS]
        assert host_name("Board", 22) == "board"

    def test_authorities_are_left_out_and_revocations_kept(self) -> None:
        text = "@cert-authority " + line("*") + "@revoked " + line("*", OTHERS)
        assert [(key.marker, key.blob) for key in known(text, "board")] == [("@revoked", OTHERS)]

    def test_what_nobody_can_read_is_passed_over(self) -> None:
        text = "# board x y\n\nboard\nboard ssh-ed25519\nboard ssh-ed25519 ***\n" + line("board")
        assert [key.where for key in known(text, "board")] == ["known_hosts:6"]


class TestJudging:
    @pytest.mark.parametrize(
        ("text", "verdict"),
        [
            ("", Verdict.UNKNOWN),
            (line("board"), Verdict.TRUSTED),
            (line("board", OTHERS) + line("board"), Verdict.TRUSTED),
            (line("board", OTHERS), Verdict.CHANGED),
            (line("board", OTHERS, "ssh-rsa"), Verdict.CHANGED),
            ("@revoked " + line("*") + line("board"), Verdict.REVOKED),
            ("@revoked " + line("*", OTHERS), Verdict.UNKNOWN),
        ],
    )
    def test_a_key(self, text: str, verdict: Verdict) -> None:
        assert judge(known(text, "board"), OURS) is verdict

    def test_a_fingerprint_is_the_one_that_ssh_keygen_prints(self) -> None:
        assert fingerprint(OURS) == "SHA256:rgvsnp0zxWNUvWEsimAQhAMk/FuXhs4KGLaWswSwk5c"
