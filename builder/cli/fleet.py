"""Which boards there are, and which are meant."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from builder.cli.configuration import find_project, read_project
from builder.cli.environment import Environment
from builder.cli.installation import parsed_values, read_matrix
from builder.cli.user import user_name
from builder.effects.parsed import ParsedValues
from builder.errors import UsageError
from builder.matrix import decode, load
from builder.model.device import Device
from builder.model.target import Target
from builder.project import parse_devices


def known_devices(environment: Environment) -> tuple[Device, ...]:
    """Return the boards of ``boardwright.yaml``, and of the user's own file those of other names.

    Raises ``UsageError`` with the position of what is wrong in either file.
    """
    parsed = parsed_values(environment.cache_root)
    project = find_project(Path.cwd(), environment.trust)
    own = read_project(project, parsed).devices if project else ()
    names = {device.name for device in own}
    environment.trust.require(environment.devices_file)
    users = _users_devices(environment.devices_file, parsed)
    return (*own, *(device for device in users if device.name not in names))


def choose_devices(
    known: Sequence[Device], patterns: Sequence[str], tags: Sequence[str]
) -> tuple[Device, ...]:
    """Return the devices whose name one of ``patterns`` (globs) matches and that bear all ``tags``.

    Without either, the only device there is. Raises ``UsageError``: ``unknown-device``,
    ``no-device``, ``many-devices``.
    """
    if not patterns and not tags:
        return _only(known)
    for pattern in patterns:
        if not any(fnmatchcase(device.name, pattern) for device in known):
            raise _unknown(pattern, known)
    chosen = tuple(
        device
        for device in known
        if set(tags) <= set(device.tags)
        and (not patterns or any(fnmatchcase(device.name, p) for p in patterns))
    )
    if not chosen:
        raise UsageError(
            f"no device bears {' and '.join(tags)}",
            reason="no-device",
            remedy="see: boardwright devices list",
        )
    return chosen


def ad_hoc_device(target: str, host: str, root: str | None, keep: int | None) -> Device:
    """Return a device that no file lists, checked as if one did."""
    text = json.dumps({"devices": [{"name": "host", "target": target, "host": host}]})
    device = parse_devices(text, "--host")[0]
    name = re.sub(r"[^a-z0-9._-]", "-", host.lower()).strip("._-")[:64] or "host"
    return replace(device, name=name, root=root, keep=keep or device.keep)


def targets_of(
    devices: Iterable[Device], folders: Sequence[Path], environment: Environment
) -> dict[str, Target]:
    """Return what ``devices`` are, by name. Raises ``UsageError`` ``unknown-target``."""
    texts = read_matrix(folders)
    names = sorted({device.target for device in devices})
    found = parsed_values(environment.cache_root).get(
        tuple[Target, ...],
        [texts, names],
        lambda: tuple(load(texts, name) for name in names),
    )
    return {target.name: target for target in found}


def own_name() -> str:
    """Return how others that want a board are told who has it: ``user@machine``."""
    name = f"{user_name()}@{socket.gethostname()}"
    return re.sub(r"[^A-Za-z0-9._@-]", "-", name)[:100]


def _users_devices(file: Path, parsed: ParsedValues) -> tuple[Device, ...]:
    try:
        text = decode(file.read_bytes(), str(file))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(
            "cannot read the devices file",
            reason="unreadable-devices",
            where=str(file),
            why=error.strerror,
        ) from None
    return parsed.get(tuple[Device, ...], [text], lambda: parse_devices(text, str(file)))


def _only(known: Sequence[Device]) -> tuple[Device, ...]:
    if len(known) == 1:
        return tuple(known)
    if not known:
        raise UsageError(
            "there is no device",
            reason="no-device",
            why="neither boardwright.yaml nor the user's devices.yaml lists one",
            remedy="list it under devices: in boardwright.yaml, or give --target NAME --host HOST",
        )
    raise UsageError(
        f"which of the {len(known)} devices?",
        reason="many-devices",
        remedy="add --device NAME (a glob, so '*' is all) or --tag WORD; "
        "see: boardwright devices list",
    )


def _unknown(pattern: str, known: Sequence[Device]) -> UsageError:
    near = get_close_matches(pattern, [device.name for device in known], n=1)
    return UsageError(
        f"no device is called {pattern!r}",
        reason="unknown-device",
        why=f"did you mean {near[0]}?" if near else None,
        remedy="see: boardwright devices list",
    )
