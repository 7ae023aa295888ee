"""From a destination and ssh_config to the servers that are connected to, one after the other."""

from __future__ import annotations

from pathlib import Path

from builder.effects.ssh.config import HostConfig
from builder.effects.ssh.destination import Destination, parse_destination
from builder.effects.ssh.directives import Directive, malformed
from builder.effects.ssh.expansion import expand, expand_path
from builder.effects.ssh.settings import Hop, Route, SshSettings

_IDENTITIES = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_SYSTEM_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_JUMPS = 8
_LONGEST_CONNECT_S = 15.0
_DEFAULT_CONNECT_S = 10.0


def route_to(destination: str, settings: SshSettings) -> Route:
    """Return the servers on the way to ``destination``, the board last.

    Raises ``UsageError``: ``bad-destination``, ``ssh-config``, ``ssh-config-permissions``.
    """
    return _route(parse_destination(destination), settings, _JUMPS)


def _route(destination: Destination, settings: SshSettings, jumps_left: int) -> Route:
    config = HostConfig(destination.host, settings, user=destination.user, port=destination.port)
    way = config.first_of("proxyjump", "proxycommand")
    if way is None or way.rest.lower() == "none":
        return (_hop(destination.host, config, settings, None),)
    if way.keyword == "proxycommand":
        command = expand(way.rest, config.names.tokens(settings), way.where)
        return (_hop(destination.host, config, settings, command),)
    before = _jumps(way, config, settings, jumps_left)
    return (*before, _hop(destination.host, config, settings, None))


def _jumps(way: Directive, config: HostConfig, settings: SshSettings, left: int) -> Route:
    names = expand(way.word, config.names.tokens(settings), way.where).split(",")
    if len(names) > left:
        raise malformed(way.where, f"more than {_JUMPS} jump hosts; do they name each other?")
    first, *others = (parse_destination(name.strip()) for name in names)
    # Only the first is reached in its own way; to each of the others leads the one before it.
    through = _route(first, settings, left - len(names))
    for other in others:
        its = HostConfig(other.host, settings, user=other.user, port=other.port)
        through = (*through, _hop(other.host, its, settings, None))
    return through


def _hop(alias: str, config: HostConfig, settings: SshSettings, proxy: str | None) -> Hop:
    names = config.names
    return Hop(
        alias=alias,
        host=names.host,
        port=names.port,
        user=names.user,
        host_key_alias=names.host_key_alias,
        known_hosts=_known_hosts(config, settings),
        hash_known_hosts=config.value("hashknownhosts", "no") == "yes",
        identity_files=_identity_files(config, settings),
        identities_only=config.value("identitiesonly", "no") == "yes",
        agent=_agent(config, settings),
        connect_timeout_s=_connect_timeout_s(config),
        proxy_command=proxy,
    )


def _known_hosts(config: HostConfig, settings: SshSettings) -> tuple[Path, ...]:
    users = _paths(config, settings, "userknownhostsfile", _KNOWN_HOSTS)
    return users + _paths(config, settings, "globalknownhostsfile", _SYSTEM_KNOWN_HOSTS)


def _paths(
    config: HostConfig, settings: SshSettings, keyword: str, default: tuple[str, ...]
) -> tuple[Path, ...]:
    line = config.directive(keyword)
    words = line.words if line else default
    tokens = config.names.tokens(settings)
    where = line.where if line else keyword
    return tuple(
        Path(expand_path(word, tokens, settings, where)) for word in words if word.lower() != "none"
    ) or (Path("/dev/null"),)


def _identity_files(config: HostConfig, settings: SshSettings) -> tuple[Path, ...]:
    tokens = config.names.tokens(settings)
    lines = config.directives("identityfile")
    if not lines:
        return tuple(settings.home / ".ssh" / name for name in _IDENTITIES)
    named = (
        Path(expand_path(line.word, tokens, settings, line.where))
        for line in lines
        if line.word.lower() != "none"
    )
    return tuple(dict.fromkeys(named))


def _agent(config: HostConfig, settings: SshSettings) -> str | None:
    inherited = settings.variables.get("SSH_AUTH_SOCK")
    line = config.directive("identityagent")
    if line is None or line.word == "SSH_AUTH_SOCK":
        return inherited
    if line.word.lower() == "none":
        return None
    if line.word.startswith("$") and not line.word.startswith("${"):
        return settings.variables.get(line.word[1:])
    return expand_path(line.word, config.names.tokens(settings), settings, line.where)


def _connect_timeout_s(config: HostConfig) -> float:
    text = config.value("connecttimeout", "none")
    if text == "none":
        return _DEFAULT_CONNECT_S
    if text.isascii() and text.isdigit() and int(text) > 0:
        return min(float(text), _LONGEST_CONNECT_S)
    line = config.directive("connecttimeout")
    raise malformed(line.where if line else "ConnectTimeout", f"{text!r} is no number of seconds")
