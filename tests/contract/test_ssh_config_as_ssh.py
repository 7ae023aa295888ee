"""Our reading of ssh_config beside that of ``ssh -G``, file by file."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

import pytest

from builder.effects.ssh.route import route_to
from builder.effects.ssh.settings import Hop
from tests.contract.ssh_home import Home, make_home

CONFIGS = {
    "nothing": "",
    "first value": "Host b*\n Port 1\nHost board\n Port 2\n User pi\n",
    "negated": "Host !board *\n Port 1\nHost !other *\n Port 2\n",
    "quoted": 'Host "board" \'x y\'\n User = "pi"\n HostName=10.0.0.7 # comment\n',
    "tokens": "HostName %h.lab.example\nUser pi\n",
    "identities": "Host board\n IdentityFile /a\nHost *\n IdentityFile /b\n IdentityFile /a\n",
    "files": "UserKnownHostsFile /a /b\nGlobalKnownHostsFile /c\nHashKnownHosts yes\n",
    "match host": "Host board\n HostName 10.0.0.7\nMatch host 10.*\n Port 3\n",
    "match original": "HostName 10.0.0.7\nMatch originalhost board !user root\n Port 4\n",
    "match user": "Host board\n User pi\nMatch user pi,root\n Port 5\n",
    "match final": "Match final host 10.*\n Port 6\nHost board\n HostName 10.0.0.7\n",
    "match canonical": "Match canonical\n Port 6\n",
    "match canonical and final": "Match canonical\n Port 6\nMatch final\n User no\n",
    "match exec": 'Match exec "test %n = board"\n Port 7\nMatch !exec "true"\n User no\n',
    "match all": "Match host other\n Port 1\nMatch all\n Port 8\n",
    "include": "Host board\n Include extra\n User pi\nHost *\n Port 9\n",
    "include elsewhere": "Host other\n Include extra\nHost *\n Port 9\n",
    "include glob": "Include ext*\nPort 9\n",
    "alias": "HostKeyAlias the-board\nIdentitiesOnly yes\n",
}
EXTRA = "Port 10\nHost board\n HostName 10.0.0.8\nHost other\n User no\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh: install openssh-client")
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("destination", ["board", "root@board"])
def test_a_host_is_the_same(home: Home, text: str, destination: str) -> None:
    home.config.write_text(text, encoding="utf-8")
    extra = home.config.with_name("extra")
    extra.touch(mode=0o600)
    extra.write_text(EXTRA, encoding="utf-8")
    (ours,) = route_to(destination, home.settings)
    theirs = read_by_ssh(home, destination)
    assert told(ours) == {keyword: theirs.get(keyword, []) for keyword in told(ours)}


def told(hop: Hop) -> dict[str, list[str]]:
    """Return a hop in the words of ``ssh -G``."""
    host_key_alias = {"hostkeyalias": [hop.host_key_alias]} if hop.host_key_alias else {}
    stated = [str(path) for path in hop.identity_files if "/.ssh/" not in str(path)]
    known = " ".join(str(path) for path in hop.known_hosts)
    return {
        "hostname": [hop.host],
        "user": [hop.user],
        "port": [str(hop.port)],
        "identitiesonly": ["yes" if hop.identities_only else "no"],
        "hashknownhosts": ["yes" if hop.hash_known_hosts else "no"],
        **({"identityfile": stated} if stated else {}),
        **({"userknownhostsfile": ["/a /b"]} if known.startswith("/a /b /c") else {}),
        **host_key_alias,
    }


def read_by_ssh(home: Home, destination: str) -> Mapping[str, list[str]]:
    # Relative includes are those of the account's own ~/.ssh, wherever -F and HOME point.
    text = home.config.read_text().replace("Include ", f"Include {home.config.parent}/")
    config = home.config.with_name("absolute")
    config.write_text(text, encoding="utf-8")
    command = ["ssh", "-G", "-F", str(config), destination]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    for line in printed.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword, []).append(value)
    return found
