"""An image is rendered text: equal recipes have one key, and the network is no part of it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from builder.errors import UsageError
from builder.toolchain.image import (
    ImageRecipe,
    base_image,
    build_arguments,
    image_key,
    image_tag,
    render_image,
)

REPOSITORY = Path(__file__).parents[3]
TEMPLATES = REPOSITORY / "templates"
GOLDEN = REPOSITORY / "tests" / "golden"
DIGEST = "sha256:" + "0" * 64
PLAIN = ImageRecipe(
    base_image=f"debian:bookworm-slim@{DIGEST}",
    packages=(),
    requirements="onnx==1 --hash=sha256:1\n",
)
FULL = dataclasses.replace(
    PLAIN,
    packages=("qemu-user-static", "libc6-arm64-cross"),
    ca_certificates="-----BEGIN CERTIFICATE-----\n",
    zig_target="aarch64-linux-gnu.2.27",
)


@pytest.mark.parametrize(("name", "recipe"), [("shared", PLAIN), ("jetson-nano", FULL)])
def test_the_dockerfile_is_the_golden_one(
    name: str, recipe: ImageRecipe, request: pytest.FixtureRequest
) -> None:
    golden = GOLDEN / f"dockerfile-{name}.txt"
    rendered = render_image(recipe, TEMPLATES).dockerfile
    if request.config.getoption("--update-golden"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


def test_the_base_is_the_first_from() -> None:
    assert base_image(render_image(PLAIN, TEMPLATES)) == PLAIN.base_image


def test_equal_recipes_have_one_key_and_tag() -> None:
    one, two = render_image(FULL, TEMPLATES), render_image(FULL, TEMPLATES)
    assert image_key(one) == image_key(two)
    assert re.fullmatch(r"boardwright/toolchain:[0-9a-f]{16}", image_tag(one))
    assert image_key(one).startswith(image_tag(one).rpartition(":")[2])


@pytest.mark.parametrize(
    "bent",
    [
        dataclasses.replace(FULL, base_image="boardwright/base:bookworm"),
        dataclasses.replace(FULL, packages=("qemu-user-static",)),
        dataclasses.replace(FULL, requirements="onnx==2\n"),
        dataclasses.replace(FULL, ca_certificates="another"),
        dataclasses.replace(FULL, zig_target="aarch64-linux-gnu.2.28"),
    ],
)
def test_every_ingredient_counts(bent: ImageRecipe) -> None:
    assert image_key(render_image(bent, TEMPLATES)) != image_key(render_image(FULL, TEMPLATES))


def test_the_order_of_packages_does_not_count() -> None:
    turned = dataclasses.replace(FULL, packages=FULL.packages[::-1] + FULL.packages)
    assert render_image(turned, TEMPLATES) == render_image(FULL, TEMPLATES)


@pytest.mark.parametrize("package", ["a;reboot", "gcc\nRUN reboot", "", "-o=x", "GCC", "$(id)"])
def test_what_is_no_package_is_refused(package: str) -> None:
    with pytest.raises(UsageError) as caught:
        render_image(dataclasses.replace(PLAIN, packages=(package,)), TEMPLATES)
    assert caught.value.reason == "bad-package"


@pytest.mark.parametrize("image", ["", "a b", "debian\nRUN reboot", "debian@sha256:12", "-x"])
def test_what_is_no_image_is_refused(image: str) -> None:
    with pytest.raises(UsageError) as caught:
        render_image(dataclasses.replace(PLAIN, base_image=image), TEMPLATES)
    assert caught.value.reason == "bad-base-image"


def test_build_arguments_take_the_network_and_nothing_else() -> None:
    environ = {
        "https_proxy": "http://proxy:3128",
        "PIP_INDEX_URL": "https://user:secret@index/simple",
        "PIP_TRUSTED_HOST": "",
        "AWS_SECRET_ACCESS_KEY": "no",
    }
    assert build_arguments(environ) == {
        "HTTPS_PROXY": "http://proxy:3128",
        "https_proxy": "http://proxy:3128",
        "PIP_INDEX_URL": "https://user:secret@index/simple",
    }


def test_the_lock_pins_every_package_by_hash_and_names_no_machine() -> None:
    lock = (TEMPLATES / "toolchain" / "requirements.lock").read_text(encoding="utf-8")
    pinned = requirements(re.sub(r"\\\n\s*", "", lock))
    assert all(re.match(r"[a-z0-9-]+==[^ ]+ (; .* )?--hash=sha256:", line) for line in pinned)
    assert "://" not in lock
    assert "-r /" not in lock


def test_the_lock_holds_what_its_input_asks_for() -> None:
    folder = TEMPLATES / "toolchain"
    asked = requirements((folder / "requirements.in").read_text(encoding="utf-8"))
    locked = requirements((folder / "requirements.lock").read_text(encoding="utf-8"))
    assert set(asked) <= {line.partition("==")[0] for line in locked}


def requirements(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
