"""An image is built once, or the reason why it cannot be is said."""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.effects.docker_engine import DockerEngine, connect
from builder.effects.docker_images import Images
from builder.errors import BoardwrightError, BuildFailed, Interrupted, UsageError
from builder.model.toolchain import ContextFile, ImageToolchain
from builder.toolchain.image import image_tag
from tests.contract.docker_fixtures import BASE_IMAGE, Link, an_engine

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def engine() -> DockerEngine:
    return an_engine()


@pytest.fixture
def images(engine: DockerEngine, tmp_path: Path) -> Images:
    return Images(engine=engine, locks=tmp_path / "locks", build_arguments={})


@pytest.fixture
def link(tmp_path: Path, engine: DockerEngine) -> Iterator[Link]:
    if engine.endpoint.url != "unix:///var/run/docker.sock":
        pytest.skip("only the local socket is put behind a link that can be cut")
    made = Link(tmp_path / "link.sock")
    yield made
    made.cut()
    gc.collect()  # the SDK drops a socket that it could not connect; let that be said here


def a_new_image(*instructions: str) -> ImageToolchain:
    """Return an image that no engine has yet."""
    text = "\n".join((f"FROM {BASE_IMAGE} AS python", f"LABEL test={uuid.uuid4()}", *instructions))
    return ImageToolchain(dockerfile=text + "\n", context=())


def ensure(images: Images, toolchain: ImageToolchain) -> str:
    return images.ensure(toolchain, log=lambda _: None, cancel=threading.Event())


def test_it_is_built_once_and_found_after(images: Images, engine: DockerEngine) -> None:
    file = ContextFile(path="folder/hello", text="from the context")
    toolchain = ImageToolchain(
        dockerfile=a_new_image("COPY folder/hello /hello", "RUN cat /hello").dockerfile,
        context=(file,),
    )
    lines: list[str] = []
    built = images.ensure(toolchain, log=lines.append, cancel=threading.Event())
    assert "from the context" in lines
    lines.clear()
    assert images.ensure(toolchain, log=lines.append, cancel=threading.Event()) == built
    assert lines == []
    remove(engine, toolchain)


def test_an_image_of_that_name_made_by_others_is_not_taken(
    images: Images, engine: DockerEngine
) -> None:
    toolchain = a_new_image()
    repository, _, tag = image_tag(toolchain).partition(":")
    with engine.client() as client:
        client.tag(BASE_IMAGE, repository, tag)
        base = client.inspect_image(BASE_IMAGE)["Id"]
    assert ensure(images, toolchain) != base
    remove(engine, toolchain)


def test_two_that_want_it_build_it_once(engine: DockerEngine, tmp_path: Path) -> None:
    toolchain, lines = a_new_image("RUN sleep 2"), list[str]()

    def want() -> None:
        images = Images(engine=engine, locks=tmp_path / "locks", build_arguments={})
        images.ensure(toolchain, log=lines.append, cancel=threading.Event())

    threads = [threading.Thread(target=want) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len([line for line in lines if line.startswith("building")]) == 1
    remove(engine, toolchain)


def test_a_build_that_fails_names_its_instruction(images: Images) -> None:
    toolchain = a_new_image("RUN echo some words && false")
    with pytest.raises(BuildFailed) as caught:
        ensure(images, toolchain)
    assert caught.value.reason == "image-build-failed"
    assert caught.value.where == "RUN echo some words && false"
    assert "some words" in caught.value.details["log"]


def test_a_dockerfile_that_is_none_is_a_failed_build(images: Images) -> None:
    with pytest.raises(BuildFailed) as caught:
        ensure(images, a_new_image("NONSENSE"))
    assert caught.value.reason in {"image-build-failed", "engine-refused"}


def test_a_local_base_that_is_missing_is_not_pulled(images: Images) -> None:
    toolchain = ImageToolchain(dockerfile="FROM boardwright/absent AS python\n", context=())
    with pytest.raises(UsageError) as caught:
        ensure(images, toolchain)
    assert caught.value.reason == "base-image-missing"


def test_a_base_that_cannot_be_pulled_is_said_to_be(images: Images) -> None:
    name = "127.0.0.1:9/absent@sha256:" + "0" * 64
    with pytest.raises(BuildFailed) as caught:
        ensure(images, ImageToolchain(dockerfile=f"FROM {name} AS python\n", context=()))
    assert caught.value.reason == "base-image-unavailable"


def test_cancelling_ends_the_build_on_the_engine(images: Images, engine: DockerEngine) -> None:
    with Build(images) as build:
        began_s = time.monotonic()
        build.cancel.set()
        build.join()
        assert time.monotonic() - began_s < 2.0
    assert isinstance(build.failure, Interrupted)
    assert eventually(lambda: not is_running(engine, build.container()))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_an_engine_lost_while_building_is_a_failure_not_a_hang(
    tmp_path: Path, link: Link, how: str
) -> None:
    through_link = dataclasses.replace(connect({"DOCKER_HOST": link.url}), timeout_s=1.0)
    images = Images(engine=through_link, locks=tmp_path / "locks", build_arguments={})
    with Build(images) as build:
        getattr(link, how)()
        build.join()
    assert isinstance(build.failure, BuildFailed)
    assert build.failure.reason == "engine-lost"


class Build(threading.Thread):
    """A build that does not end by itself, at work once the block is entered."""

    def __init__(self, images: Images) -> None:
        super().__init__()
        self.images, self.lines, self.cancel = images, list[str](), threading.Event()
        self.failure: BoardwrightError | None = None

    def run(self) -> None:
        toolchain = a_new_image("RUN echo at work && sleep 60")
        try:
            self.images.ensure(toolchain, log=self.lines.append, cancel=self.cancel)
        except BoardwrightError as failure:
            self.failure = failure

    def __enter__(self) -> Build:
        self.start()
        assert eventually(lambda: "at work" in self.lines), self.lines
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel.set()
        self.join()

    def join(self, timeout: float | None = 30.0) -> None:
        super().join(timeout)
        assert not self.is_alive()

    def container(self) -> str:
        (*_, last) = (line for line in self.lines if "Running in" in line)
        return last.split()[-1]


def eventually(holds: Callable[[], bool], *, within_s: float = 30.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


def is_running(engine: DockerEngine, container: str) -> bool:
    with engine.client() as client:
        return any(item["Id"].startswith(container) for item in client.containers())


def remove(engine: DockerEngine, toolchain: ImageToolchain) -> None:
    with engine.client() as client:
        client.remove_image(image_tag(toolchain), force=True)
