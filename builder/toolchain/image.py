"""A toolchain image as a value: rendered Dockerfile, build context, key, tag."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.errors import UsageError
from builder.model.toolchain import ContextFile, ImageToolchain
from builder.templating import environment

REPOSITORY = "boardwright/toolchain"
WORK = PurePosixPath("/job")
"""The only writable folder of a container: a volume of its own."""
PYTHON = PurePosixPath("/opt/boardwright/bin/python")
UID = 10001

_REQUIREMENTS = "requirements.lock"
_CA_CERTIFICATES = "ca-certificates.crt"
_PIP_ARGUMENTS = ("PIP_DEFAULT_TIMEOUT", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_TRUSTED_HOST")
_PROXY_ARGUMENTS = ("ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")

# Debian policy 5.6.1, with an optional =version; distribution's reference grammar, loosely.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?")
_ZIG_TARGET = re.compile(r"[a-z0-9_]+-[a-z0-9]+-[a-z0-9]+(\.[0-9]+)*")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]*(@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecipe:
    """What an image is made of.

    ``requirements`` is the text of the lock with hashes. ``ca_certificates`` is PEM text to trust
    while installing, beside Debian's own. With a ``zig_target`` (what ``zig cc -target`` takes) the
    image has that platform's C library ready to link; without, it serves what all targets share.
    """

    base_image: str
    packages: tuple[str, ...]
    requirements: str
    ca_certificates: str | None = None
    zig_target: str | None = None


def render_image(recipe: ImageRecipe, templates: Path) -> ImageToolchain:
    """Return the image of ``recipe``, rendered from ``templates/toolchain/Dockerfile.j2``.

    Raises ``UsageError`` ``bad-base-image`` or ``bad-package`` for names that cannot be such.
    """
    _check(recipe)
    assert recipe.zig_target is None or _ZIG_TARGET.fullmatch(recipe.zig_target)
    template = environment(templates).get_template("toolchain/Dockerfile.j2")
    dockerfile = template.render(
        base_image=recipe.base_image,
        packages=sorted(set(recipe.packages)),
        requirements=_REQUIREMENTS,
        ca_certificates=_CA_CERTIFICATES if recipe.ca_certificates else None,
        pip_arguments=_PIP_ARGUMENTS,
        environment=PYTHON.parents[1],
        zig_target=recipe.zig_target,
        uid=UID,
        work=WORK,
    )
    return ImageToolchain(dockerfile=dockerfile, context=_context(recipe))


def image_key(toolchain: ImageToolchain) -> str:
    """Return the SHA-256, in hexadecimal, of the Dockerfile and its context."""
    files = sorted((file.path, file.text) for file in toolchain.context)
    identity = json.dumps([toolchain.dockerfile, files], separators=(",", ":"))
    return hashlib.sha256(identity.encode()).hexdigest()


def image_tag(toolchain: ImageToolchain) -> str:
    """Return the name the engine knows the image by."""
    return f"{REPOSITORY}:{image_key(toolchain)[:16]}"


def base_image(toolchain: ImageToolchain) -> str:
    """Return the image that the Dockerfile starts from."""
    first = next(line for line in toolchain.dockerfile.splitlines() if line.startswith("FROM "))
    return first.split()[1]


def build_arguments(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the image build needs to know of this machine's network.

    Proxies go by both spellings, since apt reads only the small one; none of it is identity.
    """
    proxies = {
        spelling: value
        for name in _PROXY_ARGUMENTS
        if (value := environ.get(name) or environ.get(name.lower()))
        for spelling in (name, name.lower())
    }
    return proxies | {name: environ[name] for name in _PIP_ARGUMENTS if environ.get(name)}


def _context(recipe: ImageRecipe) -> tuple[ContextFile, ...]:
    requirements = ContextFile(path=_REQUIREMENTS, text=recipe.requirements)
    if not recipe.ca_certificates:
        return (requirements,)
    return (ContextFile(path=_CA_CERTIFICATES, text=recipe.ca_certificates), requirements)


def _check(recipe: ImageRecipe) -> None:
    if not _REFERENCE.fullmatch(recipe.base_image):
        raise UsageError(
            f"{recipe.base_image!r} cannot be the name of an image",
            reason="bad-base-image",
            remedy="give a name with a digest (debian:bookworm-slim@sha256:…) or a local name",
        )
    for package in recipe.packages:
        if not _PACKAGE.fullmatch(package):
            raise UsageError(
                f"{package!r} cannot be the name of a Debian package",
                reason="bad-package",
                remedy="correct toolchain.packages in the target's file",
            )
