"""The shape of a target file, for pydantic. Imported only when a target is loaded (60 ms)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from builder.matrix.armv7 import armv7_features
from builder.model.target import (
    Arch,
    BenchDefaults,
    Cpu,
    CpuVariant,
    DeviceTraits,
    Emulator,
    Libc,
    Platform,
    Target,
    ToolchainSpec,
)

MAX_CORES = 256

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
LINE = r"^[^\x00-\x1f\x7f-\x9f]{1,200}$"
FLOOR = r"^2\.(1[7-9]|[2-9][0-9])$"
LLVM_CPU = r"^[a-z0-9][a-z0-9._+-]{0,63}$"
LLVM_ATTRIBUTE = r"^[+-][A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
KERNEL_WORD = r"^[A-Za-z0-9_]{1,64}$"
IMAGE = r"^[a-z0-9][A-Za-z0-9._/:-]{0,254}(@sha256:[0-9a-f]{64})?$"
PACKAGE = r"^[a-z0-9][a-z0-9.+-]{1,127}(:[a-z0-9]+)?(=[A-Za-z0-9][A-Za-z0-9.+:~-]{0,127})?$"
QEMU = r"^qemu-[a-z0-9_]{1,32}$"
QEMU_CPU = r"^[A-Za-z0-9][A-Za-z0-9._,=+-]{0,127}$"
BOARD_PATH = r"^~?(/\.?[A-Za-z0-9_][A-Za-z0-9._-]{0,127}){1,32}$"

MEANINGS = {
    NAME: "at most 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit",
    LINE: "one line of at most 200 characters",
    FLOOR: 'a glibc version from "2.17" on, in quotes',
    LLVM_CPU: "a CPU as LLVM spells it (cortex-a57)",
    LLVM_ATTRIBUTE: "an LLVM feature with + or - before it (+neon)",
    KERNEL_WORD: "a word as /proc/cpuinfo or uname -m spells it (asimd, aarch64)",
    IMAGE: "name@sha256:digest, or the name of a local image",
    PACKAGE: "a Debian package, or package=version",
    QEMU: "a qemu-user program (qemu-aarch64)",
    QEMU_CPU: "a CPU as qemu's -cpu help spells it",
    BOARD_PATH: "a path from / or ~/ of letters, digits, '.', '_' and '-', without '..'",
}
"""What each pattern asks for, in words."""


class Section(BaseModel):
    """A mapping of a configuration file: no unknown keys, no silent conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def text(pattern: str, about: str) -> Any:
    """Describe a field of text for editors and for the check."""
    return Field(pattern=pattern, description=about)


class LibcSection(Section):
    """The C library on the board."""

    family: Literal["glibc", "musl", "bionic"]
    floor: Annotated[str, text(FLOOR, "The oldest glibc to support; others have none.")] | None = (
        Field(default=None, validate_default=True)
    )
    api: (
        Annotated[int, Field(ge=24, le=99, description="The oldest Android API level to support.")]
        | None
    ) = Field(default=None, validate_default=True)

    @field_validator("floor", mode="after")
    @classmethod
    def _only_glibc_has_a_floor(cls, floor: str | None, info: ValidationInfo) -> str | None:
        family = info.data.get("family")
        if family == "glibc" and floor is None:
            raise PydanticCustomError("missing-floor", 'glibc needs a floor, such as "2.17"')
        if family == "musl" and floor is not None:
            raise PydanticCustomError("musl-floor", "musl has no floor: it is linked in whole")
        if family == "bionic" and floor is not None:
            raise PydanticCustomError("bionic-floor", "bionic has no floor but an API level: api")
        return floor

    @field_validator("api", mode="after")
    @classmethod
    def _only_bionic_has_an_api_level(cls, api: int | None, info: ValidationInfo) -> int | None:
        family = info.data.get("family")
        if family == "bionic" and api is None:
            raise PydanticCustomError("missing-api", "bionic needs an API level, such as 24")
        if family in ("glibc", "musl") and api is not None:
            raise PydanticCustomError("api-not-bionic", "only bionic has API levels")
        return api


class VariantSection(Section):
    """A better CPU that the bundle carries kernels for as well."""

    mcpu: Annotated[str, text(LLVM_CPU, "LLVM's name of the CPU.")]
    mattr: list[Annotated[str, text(LLVM_ATTRIBUTE, "An LLVM feature to add or remove.")]] = []
    features: Annotated[
        list[Annotated[str, text(KERNEL_WORD, "A CPU feature that these kernels need.")]],
        Field(min_length=1),
    ]


class CpuSection(Section):
    """The machine code that LLVM writes for the kernels."""

    mcpu: Annotated[str, text(LLVM_CPU, "LLVM's name of the CPU.")]
    mattr: list[Annotated[str, text(LLVM_ATTRIBUTE, "An LLVM feature to add or remove.")]] = []
    cores: Annotated[int, Field(ge=1, le=MAX_CORES, description="Cores to split work over.")]
    features: list[
        Annotated[str, text(KERNEL_WORD, "A CPU feature the code needs, as /proc/cpuinfo has it.")]
    ] = []
    variants: Annotated[
        list[VariantSection],
        Field(max_length=8, description="Better CPUs, the best last; chosen at load."),
    ] = []


class ToolchainSection(Section):
    """The image to build in under Docker."""

    image: Annotated[str, text(IMAGE, "The base image, by digest or by local name.")]
    packages: list[Annotated[str, text(PACKAGE, "A Debian package to add.")]]
    ndk: Annotated[
        Literal["auto", "never"],
        Field(description="Whether the NDK of ANDROID_NDK_HOME links, where a build is local."),
    ] = "never"


class EmulatorSection(Section):
    """The qemu-user program that stands in for the board."""

    qemu: Annotated[str, text(QEMU, "The program; its -static spelling is tried as well.")]
    cpu: Annotated[str, text(QEMU_CPU, "The CPU that qemu shows.")]
    sysroot: Annotated[str, text(BOARD_PATH, "Where Debian keeps that architecture's libc.")]


class DeviceSection(Section):
    """How the board shows itself, and where bundles live on it."""

    machines: Annotated[
        list[Annotated[str, text(KERNEL_WORD, "What uname -m says on the board.")]],
        Field(min_length=1),
    ]
    run_dir: Annotated[str, text(BOARD_PATH, "Where bundles are put on the board.")]


class BenchSection(Section):
    """How the board is benchmarked unless told otherwise."""

    threads: Annotated[list[Annotated[int, Field(ge=1, le=MAX_CORES)]], Field(min_length=1)]
    warmup: Annotated[int, Field(ge=0, le=100_000, description="Runs before measuring.")]
    min_runs: Annotated[int, Field(ge=1, le=1_000_000, description="Fewest runs to measure.")]


class TargetFile(Section):
    """One board: everything that building, verifying and benchmarking for it needs to know."""

    name: Annotated[str, text(NAME, "The target's name: that of its file, without .yaml.")]
    extends: Annotated[str, text(NAME, "The target to take all other values from.")] | None = None
    abstract: Annotated[bool, Field(description="Only there to be extended.")] = False
    description: Annotated[str, text(LINE, "The board, in one line.")]
    arch: Arch
    libc: LibcSection
    cpu: CpuSection
    weights: Literal["file", "embedded"]
    toolchain: ToolchainSection
    emulator: EmulatorSection | None = Field(default=None, validate_default=True)
    device: DeviceSection
    bench: BenchSection
    packs: Annotated[
        list[Annotated[str, text(NAME, "A target for Android.")]],
        Field(max_length=8, description="The targets to pack into one AAR, one an architecture."),
    ] = []

    @field_validator("name", mode="after")
    @classmethod
    def _named_like_its_file(cls, name: str, info: ValidationInfo) -> str:
        stem = (info.context or {}).get("stem", name)
        if name != stem:
            raise PydanticCustomError(
                "name-not-file",
                "the name must be that of the file, {stem}, not {name}",
                {"stem": repr(stem), "name": repr(name)},
            )
        return name

    @field_validator("cpu", mode="after")
    @classmethod
    def _features_follow_from_an_armv7_core(
        cls, cpu: CpuSection, info: ValidationInfo
    ) -> CpuSection:
        given = cpu.model_fields_set
        missing = [key for key in ("mattr", "features") if key not in given]
        if missing and info.data.get("arch") != "armv7":
            raise PydanticCustomError(
                "missing-key", "{key} is missing", {"key": f"cpu.{missing[0]}"}
            )
        known = armv7_features(cpu.mcpu)
        return cpu.model_copy(update={key: list(getattr(known, key)) for key in missing})

    @field_validator("emulator", mode="after")
    @classmethod
    def _foreign_code_has_an_emulator(
        cls, emulator: EmulatorSection | None, info: ValidationInfo
    ) -> EmulatorSection | None:
        if emulator is None and info.data.get("arch") in ("aarch64", "armv7"):
            raise PydanticCustomError(
                "missing-emulator", "{arch} needs an emulator", {"arch": info.data["arch"]}
            )
        return emulator

    def to_target(self, packs: tuple[Target, ...] = ()) -> Target:
        """Return the noun the rest of the program speaks in."""
        libc = Libc(family=self.libc.family, floor=self.libc.floor, api=self.libc.api)
        return Target(
            name=self.name,
            description=self.description,
            platform=Platform(arch=self.arch, libc=libc),
            cpu=Cpu(
                mcpu=self.cpu.mcpu,
                mattr=tuple(self.cpu.mattr),
                cores=self.cpu.cores,
                features=tuple(self.cpu.features),
                variants=tuple(
                    CpuVariant(
                        mcpu=variant.mcpu,
                        mattr=tuple(variant.mattr),
                        features=tuple(variant.features),
                    )
                    for variant in self.cpu.variants
                ),
            ),
            weights=self.weights,
            toolchain=ToolchainSpec(
                image=self.toolchain.image,
                packages=tuple(self.toolchain.packages),
                ndk=self.toolchain.ndk,
            ),
            emulator=Emulator(**self.emulator.model_dump()) if self.emulator else None,
            device=DeviceTraits(machines=tuple(self.device.machines), run_dir=self.device.run_dir),
            bench=BenchDefaults(
                threads=tuple(self.bench.threads),
                warmup=self.bench.warmup,
                min_runs=self.bench.min_runs,
            ),
            packs=packs,
        )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a target file, for editors.

    A file may leave to its parent whatever it likes, so only ``name`` is required; completeness is
    for the loader to judge.
    """
    schema = TargetFile.model_json_schema()
    for section in schema["$defs"].values():
        section.pop("required", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Boardwright target",
        "required": ["name"],
    }
