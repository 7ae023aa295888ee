"""What the environment says, read once and handed down as a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.effects.trust import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The variables that mean something here, and all ``variables`` for the engine's client.

    ``devices_file`` lists the user's own boards, ``tuning_folder`` holds their tuning records;
    neither need be there. ``plain`` asks for output
    without colour and movement. ``trust`` says whose files are obeyed.
    """

    variables: Mapping[str, str]
    search_path: str
    cache_root: Path
    devices_file: Path
    tuning_folder: Path
    base_image: str | None
    ndk_home: str | None
    plain: bool
    trust: Trust


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Return the environment of this process, or of ``variables``.

    Raises ``UsageError`` ``foreign-owner`` for a cache of another user: artifacts are run.
    """
    given = os.environ if variables is None else variables
    environment = unjudged_environment(given)
    environment.trust.require(environment.cache_root)
    return environment


def unjudged_environment(given: Mapping[str, str]) -> Environment:
    """Return the environment of ``given``, whoever owns the cache: nothing there may be obeyed."""
    return Environment(
        variables=given,
        search_path=given.get("PATH", os.defpath),
        cache_root=_cache_root(given),
        devices_file=_devices_file(given),
        tuning_folder=_tuning_folder(given),
        base_image=given.get("BOARDWRIGHT_BASE_IMAGE") or None,
        ndk_home=given.get("ANDROID_NDK_HOME") or None,
        plain=bool(given.get("NO_COLOR") or given.get("CI") or given.get("TERM") == "dumb"),
        trust=Trust.of(given, os.geteuid()),
    )


def _cache_root(given: Mapping[str, str]) -> Path:
    if chosen := given.get("BOARDWRIGHT_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("boardwright")


def _devices_file(given: Mapping[str, str]) -> Path:
    if chosen := given.get("BOARDWRIGHT_DEVICES"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_config_path

    return user_config_path("boardwright") / "devices.yaml"


def _tuning_folder(given: Mapping[str, str]) -> Path:
    if chosen := given.get("BOARDWRIGHT_TUNING"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("boardwright") / "tuning"
