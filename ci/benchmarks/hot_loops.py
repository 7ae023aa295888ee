"""The innermost loops of an assembly listing that multiply and add vectors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FMA = re.compile(r"fmla|fmls|vfma\.f32|vfms\.f32|vmla\.f32|vmls\.f32")
_LABEL = re.compile(r"(\.L\w+):")
_FUNCTION = re.compile(r"(\w+):")
_BRANCH = re.compile(r"\s+(?:b|b\.?[a-z]{2}|cbn?z|tbn?z)\s+(?:[^.]*,\s*)?(\.L\w+)")
_COMMENT = re.compile(r"\s*(?://|@).*")
_REGISTER = re.compile(r"\b([qdsvxwr])(\d+)\b")
_STORE = re.compile(r"st|vst")
_STACK = re.compile(r"\[sp\b|\bsp,|\[x29\b|\[r11\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class HotLoop:
    """One innermost loop: the function it is in, its label, and its instructions in order."""

    function: str
    label: str
    body: tuple[str, ...]

    @property
    def fmas(self) -> int:
        return sum(is_fma(line) for line in self.body)

    @property
    def sums(self) -> int:
        """Registers that products are added to turn after turn, and that nothing else writes."""
        added = {name for line in self.body if is_fma(line) for name in _written(line)}
        made = {name for line in self.body if not is_fma(line) for name in _written(line)}
        return len(added - made)

    @property
    def spills(self) -> int:
        """Instructions that address the stack: what registers had no room for."""
        return sum(_STACK.search(line) is not None for line in self.body)


def is_fma(line: str) -> bool:
    """Tell whether an instruction multiplies and adds vectors of floats."""
    return _FMA.match(line) is not None


def registers(operands: str) -> list[str]:
    """Return the registers of an operand list; those that overlap have one name."""
    found = _REGISTER.findall(operands)
    of_aarch64 = any(kind in "xwv" for kind, _ in found)
    return [_name(kind, int(number), of_aarch64) for kind, number in found]


def _name(kind: str, number: int, of_aarch64: bool) -> str:
    if kind in "xwr":
        return f"x{number}"
    return f"v{number}" if of_aarch64 else f"v{number // {'q': 1, 'v': 1, 'd': 2, 's': 4}[kind]}"


def _written(line: str) -> list[str]:
    """Return the registers an instruction sets: the first one, all that come before an address."""
    operands = line.partition("\t")[2]
    if _STORE.match(line):
        return []
    loaded, address, _ = operands.partition("[")
    return registers(loaded) if address and not is_fma(line) else registers(operands)[:1]


def hot_loops(listing: str) -> Iterator[HotLoop]:
    """Yield the innermost loops of every function of ``listing`` that hold such instructions."""
    for function, lines in _functions(listing):
        for start, stop in _innermost(lines):
            body = tuple(_instructions(lines[start : stop + 1]))
            loop = HotLoop(function=function, label=lines[start].split(":")[0], body=body)
            if loop.fmas:
                yield loop


def _functions(listing: str) -> Iterator[tuple[str, list[str]]]:
    name, lines = None, list[str]()
    for line in listing.splitlines():
        if (found := _FUNCTION.match(line)) and name is None:
            name, lines = found[1], []
        elif line.startswith(".Lfunc_end") and name is not None:
            yield name, lines
            name = None
        else:
            lines.append(line)


def _innermost(lines: list[str]) -> list[tuple[int, int]]:
    """Return the first and last line of each loop that holds no other."""
    seen: dict[str, int] = {}
    ends: dict[int, int] = {}
    for number, line in enumerate(lines):
        if found := _LABEL.match(line):
            seen[found[1]] = number
        elif (found := _BRANCH.match(line)) and found[1] in seen:
            ends[seen[found[1]]] = number
    loops = list(ends.items())
    return [
        (start, stop)
        for start, stop in loops
        if not any(start < inner and last <= stop for inner, last in loops)
    ]


def _instructions(lines: list[str]) -> Iterator[str]:
    for line in lines:
        text = _COMMENT.sub("", line).strip()
        if line[:1].isspace() and text and not text.startswith("."):
            yield text
