"""Where the payload runs: Docker or this Python environment, chosen and wired."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Literal

from builder import __version__
from builder.broken_environment import broken_environment
from builder.cli.checkup import EXACT
from builder.cli.environment import Environment
from builder.cli.installation import installed, pinned
from builder.effects.docker_endpoint import engine_answers
from builder.effects.jdk import javac_version
from builder.effects.ndk import find_ndk
from builder.effects.trust_store import extra_certificates
from builder.errors import UsageError
from builder.model.target import Target
from builder.model.toolchain import ImageToolchain, LocalToolchain, Toolchain
from builder.package_files import templates_root
from builder.planning import ToolchainOf
from builder.ports import Log, Workshop

if TYPE_CHECKING:
    from builder.effects.docker_images import Images

Choice = Literal["auto", "docker", "local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchains:
    """The toolchain of each target, the workshop of each toolchain, the versions they work with.

    ``obtain`` makes the images of toolchains, where they are images. ``otherwise`` is set where
    the user left the choice to us: the other kind, which makes the same bytes.
    """

    of: ToolchainOf
    workshop: Callable[[Toolchain], Workshop]
    versions: tuple[tuple[str, str], ...]
    obtain: Callable[[Iterable[Toolchain], Log, threading.Event], None] | None = None
    otherwise: Callable[[], Toolchains] | None = None


def choose(choice: Choice, targets: tuple[Target, ...], environment: Environment) -> Toolchains:
    """Return what ``--toolchain`` asks for; ``auto`` is Docker where an engine answers, at first.

    Raises ``UsageError``: ``missing-package`` where a local build lacks what it imports,
    ``broken-environment`` where what writes bundles is of another version, and as ``find_ndk``
    does.
    """
    kinds = {
        "docker": partial(_docker, targets, environment),
        "local": partial(_local, targets, environment),
    }
    if choice != "auto":
        return kinds[choice]()
    first = "docker" if engine_answers(environment.variables) else "local"
    second = "local" if first == "docker" else "docker"
    return replace(kinds[first](), otherwise=kinds[second])


def _local(targets: tuple[Target, ...], environment: Environment) -> Toolchains:
    versions = installed(pinned())
    missing = sorted(pinned().keys() - versions)
    if missing:
        raise UsageError(
            f"this Python environment lacks {', '.join(missing)}",
            reason="missing-package",
            where=sys.prefix,
            remedy="see what mends it: boardwright doctor",
        )
    if wrong := _wrong_versions(versions):
        raise broken_environment(f"{', '.join(wrong)} would write other bundles")
    toolchain = LocalToolchain(versions=tuple(sorted(versions.items())))
    ndk = find_ndk(environment.ndk_home) if any(map(_may_use_ndk, targets)) else None
    javac = ("javac", javac_version(environment.search_path))

    def of(target: Target | None) -> LocalToolchain:
        if target is None:
            return toolchain
        versions = (*toolchain.versions, javac) if target.packs else toolchain.versions
        return LocalToolchain(versions=versions, ndk=ndk if _may_use_ndk(target) else None)

    return Toolchains(
        of=of,
        workshop=_once(lambda: _local_workshop(environment)),
        versions=_with_own(versions),
    )


def _wrong_versions(versions: Mapping[str, str]) -> list[str]:
    """Return which versions are not those that are pinned to the byte."""
    wanted = pinned()
    return [
        f"{name} {versions[name]} in place of {wanted[name]}"
        for name in EXACT
        if versions[name] != wanted[name]
    ]


def _may_use_ndk(target: Target) -> bool:
    return target.platform.libc.family == "bionic" and target.toolchain.ndk == "auto"


def _local_workshop(environment: Environment) -> Workshop:
    from builder.effects.local_workshop import LocalWorkshop

    return LocalWorkshop(sys.executable, environment.cache_root, environment.variables)


def _once(make: Callable[[], Workshop]) -> Callable[[Toolchain], Workshop]:
    """Make the workshop when the first step has to run: a no-op build connects to nothing."""
    making, made = threading.Lock(), list[Workshop]()

    def workshop(_: Toolchain) -> Workshop:
        with making:
            if not made:
                made.append(make())
            return made[0]

    return workshop


def _docker(targets: tuple[Target, ...], environment: Environment) -> Toolchains:
    common_base = environment.base_image or targets[0].toolchain.image
    certificates = extra_certificates(environment.variables)

    @cache
    def image_of(target: Target | None) -> ImageToolchain:
        from builder.toolchain.image import ImageRecipe, render_image
        from builder.toolchain.zig import zig_target

        recipe = ImageRecipe(
            base_image=environment.base_image or target.toolchain.image if target else common_base,
            packages=target.toolchain.packages if target else (),
            requirements=_requirements(),
            ca_certificates=certificates,
            zig_target=zig_target(target.platform, "runner") if target else None,
        )
        return render_image(recipe, templates_root())

    return Toolchains(
        of=image_of,
        workshop=_once(lambda: _docker_workshop(environment)),
        versions=_with_own(pinned()),
        obtain=partial(_obtain, environment),
    )


def _docker_workshop(environment: Environment) -> Workshop:
    from builder.effects.docker_workshop import DockerWorkshop

    return DockerWorkshop(images=images_of(environment))


def images_of(environment: Environment) -> Images:
    """Return the images of the engine that answers. Raises as ``connect`` does."""
    from builder.effects.docker_engine import connect
    from builder.effects.docker_images import Images
    from builder.toolchain.image import build_arguments

    return Images(
        engine=connect(environment.variables),
        locks=environment.cache_root / "locks",
        build_arguments=build_arguments(environment.variables),
    )


def _obtain(
    environment: Environment, toolchains: Iterable[Toolchain], log: Log, cancel: threading.Event
) -> None:
    images = images_of(environment)
    for toolchain in toolchains:
        assert isinstance(toolchain, ImageToolchain)
        images.ensure(toolchain, log=log, cancel=cancel)


def _requirements() -> str:
    return (templates_root() / "toolchain" / "requirements.lock").read_text(encoding="utf-8")


def _with_own(versions: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return (("boardwright", __version__), *sorted(versions.items()))
