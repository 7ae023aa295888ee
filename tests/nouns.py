"""Small, whole values for tests: each maker gives a plausible noun, its arguments bend facts."""

from __future__ import annotations

from pathlib import Path

from builder.fingerprint import PayloadIdentity
from builder.model.binding import Binding
from builder.model.machine import Machine
from builder.model.source import Source, SourceFile
from builder.model.target import (
    Arch,
    BenchDefaults,
    Cpu,
    DeviceTraits,
    Emulator,
    Libc,
    Platform,
    Target,
    ToolchainSpec,
)
from builder.model.toolchain import LocalToolchain
from builder.model.tuning import Tile, TuningRecord
from builder.planning import BuildRequest, VerifyPolicy

LOCAL = LocalToolchain(versions=(("apache-tvm", "0.27.0"), ("ziglang", "0.17.1")))
PAYLOAD = PayloadIdentity(sources="5" * 64)
QEMU_ARM64 = Emulator(qemu="qemu-aarch64", cpu="cortex-a57", sysroot="/usr/aarch64-linux-gnu")


def a_source(name: str = "model.onnx", *, sha256: str = "a" * 64, root: str = "/models") -> Source:
    file = SourceFile(path=name, sha256=sha256, size_bytes=7)
    return Source(files=(file,), root=Path(root))


def a_target(
    name: str = "jetson-nano",
    *,
    arch: Arch = "aarch64",
    libc: Libc | None = None,
    mcpu: str = "cortex-a57",
    features: tuple[str, ...] = (),
    emulator: Emulator | None = QEMU_ARM64,
) -> Target:
    return Target(
        name=name,
        description="A board",
        platform=Platform(arch=arch, libc=libc or Libc(family="glibc", floor="2.27")),
        cpu=Cpu(mcpu=mcpu, mattr=("+neon",), cores=4, features=features),
        weights="file",
        toolchain=ToolchainSpec(image="debian:bookworm-slim", packages=()),
        emulator=emulator,
        device=DeviceTraits(machines=(arch,), run_dir="~/boardwright"),
        bench=BenchDefaults(threads=(1,), warmup=5, min_runs=30),
    )


def a_pc(features: tuple[str, ...] = ("avx2", "fma")) -> Target:
    return a_target(
        "x86_64-linux", arch="x86_64", mcpu="x86-64-v3", features=features, emulator=None
    )


def a_machine(
    arch: Arch | None = "x86_64",
    *,
    features: tuple[str, ...] = ("avx2", "fma"),
    emulators: tuple[str, ...] = (),
    sysroots: tuple[str, ...] = (),
) -> Machine:
    return Machine(
        arch=arch,
        features=frozenset(features),
        emulators=frozenset(emulators),
        sysroots=frozenset(sysroots),
        cores=2,
    )


EMULATING = a_machine(emulators=("qemu-aarch64",), sysroots=("/usr/aarch64-linux-gnu",))


def a_request(
    *,
    verify: VerifyPolicy = "auto",
    machine: Machine = EMULATING,
    payload: PayloadIdentity = PAYLOAD,
    seed: int = 0,
    frozen_inputs: Source | None = None,
    check_inputs: Source | None = None,
    records: tuple[TuningRecord, ...] = (),
) -> BuildRequest:
    return BuildRequest(
        model_name="mnist",
        binding=Binding(shapes=(("input", (1, 1, 28, 28)),)),
        frozen_inputs=frozen_inputs,
        check_inputs=check_inputs,
        seed=seed,
        verify=verify,
        machine=machine,
        payload=payload,
        versions=(("boardwright", "0"),),
        records=records,
    )


def a_record(
    kernel: str = "00000000000000aa",
    *,
    cpu: str = "cortex-a57+neon",
    tile: Tile = (1, 7, 2),
    usual: Tile = (1, 8, 2),
    compiler: str = "boardwright 0, tvm 0",
) -> TuningRecord:
    return TuningRecord(
        kernel=kernel,
        cpu=cpu,
        description="conv 1x1x9x9x16",
        tile=tile,
        usual=usual,
        tile_us=9.5,
        usual_us=10.0,
        compiler=compiler,
        machine="A board",
    )
