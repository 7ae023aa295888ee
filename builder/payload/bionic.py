"""Linking against bionic, with an NDK of the user's or without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.bundle.elf import undefined_symbols
from builder.model.target import Platform
from builder.model.toolchain import LocalToolchain, Toolchain
from builder.payload.tools import Zig, run_compiler
from builder.toolchain import bionic, ndk

_HELPERS = "helpers.o"
_STUBS = "stubs"


def read_symbols(templates: Path) -> tuple[bionic.BionicSymbol, ...]:
    """Return what Android's libraries define, as far as models need it."""
    return bionic.parse_symbols((templates / bionic.SYMBOLS).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BionicLinker:
    """Links libraries of one platform; ``runtime`` is the artifact of its ``BuildRuntime``."""

    platform: Platform
    toolchain: Toolchain
    templates: Path
    runtime: Path
    zig: Zig

    def prepare(self) -> None:
        """Put what a link without an NDK needs into ``runtime``: stubs, and compiler-rt."""
        api = self.platform.libc.api
        assert api is not None
        symbols = read_symbols(self.templates)
        stubs = self.runtime / _STUBS
        stubs.mkdir()
        helpers = self.runtime / _HELPERS
        commands = [bionic.compile_helpers(self.platform, self.zig.compiler_rt, helpers)]
        for library in bionic.libraries(symbols):
            source = (stubs / library).with_suffix(".S")
            names = bionic.names_in(symbols, library, api)
            source.write_text(bionic.stub_source(names), encoding="ascii")
            commands.append(bionic.link_stub(self.platform, source, stubs / library))
        self.zig.run_all(commands)

    def pick_helpers(self, objects: Sequence[Path], out: Path) -> None:
        """Take what compilers call on their own and bionic lacks from compiler-rt to ``out``."""
        known = {symbol.name for symbol in read_symbols(self.templates)}
        wanted = sorted(frozenset[str]().union(*map(undefined_symbols, objects)) - known)
        everything = self.runtime / _HELPERS
        self.zig.run(bionic.pick_helpers(self.platform, wanted, everything, out))

    def link(self, inputs: Sequence[Path], exports: str, out: Path) -> None:
        """Link the library ``out``; ``exports`` is a glob. Raises ``BuildFailed``."""
        script = out.with_suffix(".map")
        script.write_text(f"{{ global: {exports}; local: *; }};\n", encoding="ascii")
        if isinstance(self.toolchain, LocalToolchain) and (kit := self.toolchain.ndk):
            command = ndk.link_shared(kit, self.platform, inputs, script, out)
            run_compiler("the NDK's clang", command, log=self.zig.log, variables={})
        else:
            stubs = sorted((self.runtime / _STUBS).glob("*.so"))
            self.zig.run(bionic.link_shared(self.platform, inputs, stubs, script, out))
