"""The engine is the one the docker command would take."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from builder.effects.docker_endpoint import (
    LOCAL,
    Endpoint,
    TlsFiles,
    engine_answers,
    resolve_endpoint,
)
from builder.errors import UsageError


def add_context(config: Path, name: str, **docker: Any) -> str:
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = config / "contexts" / "meta" / identity / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": docker}}), encoding="utf-8")
    return identity


def test_without_any_word_it_is_the_local_socket(tmp_path: Path) -> None:
    assert resolve_endpoint({"HOME": str(tmp_path)}) == Endpoint(url=LOCAL)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("unix:///run/user/1/docker.sock", "unix:///run/user/1/docker.sock"),
        ("unix://", LOCAL),
        ("tcp://build.example", "tcp://build.example:2375"),
        ("build.example:99", "tcp://build.example:99"),
        ("https://build.example", "tcp://build.example:2376"),
        ("tcp://[fd00::1]:2376", "tcp://[fd00::1]:2376"),
        ("ssh://me@build.example", "ssh://me@build.example"),
    ],
)
def test_docker_host_is_read_as_a_url(tmp_path: Path, host: str, url: str) -> None:
    assert resolve_endpoint({"HOME": str(tmp_path), "DOCKER_HOST": host}).url == url


@pytest.mark.parametrize("host", ["tcp://", "ssh://", "ftp://x", "tcp://x:99999", "tcp://x:y"])
def test_a_docker_host_that_is_none_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_endpoint({"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": host})
    assert caught.value.reason == "bad-docker-host"
    assert not engine_answers({"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": host})


def test_docker_host_comes_before_a_context(tmp_path: Path) -> None:
    environ = {
        "DOCKER_CONFIG": str(tmp_path),
        "DOCKER_HOST": "tcp://a:1",
        "DOCKER_CONTEXT": "absent",
    }
    assert resolve_endpoint(environ).url == "tcp://a:1"


def test_tls_files_are_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("ca", encoding="utf-8")
    environ = {
        "DOCKER_HOST": "tcp://a:1",
        "DOCKER_CERT_PATH": str(tmp_path),
        "DOCKER_TLS_VERIFY": "1",
    }
    assert resolve_endpoint(environ).tls == TlsFiles(
        ca=tmp_path / "ca.pem", certificate=None, private_key=None, verify=True
    )


def test_the_current_context_is_followed(tmp_path: Path) -> None:
    add_context(tmp_path, "farm", Host="ssh://builder@farm")
    (tmp_path / "config.json").write_text('{"currentContext": "farm"}', encoding="utf-8")
    assert resolve_endpoint({"DOCKER_CONFIG": str(tmp_path)}) == Endpoint(url="ssh://builder@farm")


def test_docker_context_comes_before_the_current_one(tmp_path: Path) -> None:
    identity = add_context(tmp_path, "farm", Host="tcp://farm:2376", SkipTLSVerify=False)
    tls = tmp_path / "contexts" / "tls" / identity / "docker"
    tls.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tls / name).write_text("", encoding="utf-8")
    (tmp_path / "config.json").write_text('{"currentContext": "other"}', encoding="utf-8")
    environ = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "farm"}
    assert resolve_endpoint(environ) == Endpoint(
        url="tcp://farm:2376",
        tls=TlsFiles(
            ca=tls / "ca.pem",
            certificate=tls / "cert.pem",
            private_key=tls / "key.pem",
            verify=True,
        ),
    )


def test_an_unknown_context_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_endpoint({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "absent"})
    assert caught.value.reason == "unknown-docker-context"


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_broken_configuration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        resolve_endpoint({"DOCKER_CONFIG": str(tmp_path)})
    assert caught.value.reason == "bad-docker-config"
    assert caught.value.where == str(tmp_path / "config.json")


def test_an_engine_answers_when_its_socket_does(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    environ = {"DOCKER_HOST": f"unix://{path}"}
    assert not engine_answers(environ)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        assert engine_answers(environ)
    assert not engine_answers(environ)


def test_an_engine_over_ssh_is_taken_at_its_word(tmp_path: Path) -> None:
    assert engine_answers({"DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": "ssh://nowhere.invalid"})
