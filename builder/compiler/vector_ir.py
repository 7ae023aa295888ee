"""LLVM functions of one float32 number or vector, written as arithmetic in Python.

An expression appends instructions to its function and names each result, so that a value that is
used twice is computed once. TVM sees no more of it than a call.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function under construction; ``lanes`` is 1 for a scalar."""

    lanes: int
    lines: list[str] = field(default_factory=list)

    def type_of(self, element: str) -> str:
        """Return LLVM's name of so many elements."""
        return element if self.lanes == 1 else f"<{self.lanes} x {element}>"

    def emit(self, instruction: str, element: str) -> Value:
        """Append an instruction and return its result, ``element`` by element."""
        name = f"%v{len(self.lines)}"
        self.lines.append(f"  {name} = {instruction}")
        return Value(function=self, name=name, element=element)

    def constant(self, literal: str, element: str) -> Value:
        """Return a literal in every lane."""
        name = literal if self.lanes == 1 else f"splat ({element} {literal})"
        return Value(function=self, name=name, element=element)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A float, an i32 or an i1 in each lane."""

    function: Function
    name: str
    element: str

    @property
    def type(self) -> str:
        return self.function.type_of(self.element)

    def __add__(self, other: Value | float) -> Value:
        return self._binary("add", other)

    def __sub__(self, other: Value | float) -> Value:
        return self._binary("sub", other)

    def __mul__(self, other: Value | float) -> Value:
        return self._binary("mul", other)

    def __truediv__(self, other: Value | float) -> Value:
        return self._binary("div", other)

    def __rsub__(self, other: float) -> Value:
        return self.of(other) - self

    def __rtruediv__(self, other: float) -> Value:
        return self.of(other) / self

    def __lshift__(self, bits: int) -> Value:
        return self._binary("shl", bits)

    def __rshift__(self, bits: int) -> Value:
        """Shift as a signed number."""
        return self._binary("ashr", bits)

    def __lt__(self, other: Value | float) -> Value:
        return self._compared("olt", other)

    def __gt__(self, other: Value | float) -> Value:
        return self._compared("ogt", other)

    def select(self, then: Value | float, other: Value) -> Value:
        """Return ``then`` where this holds, else ``other``."""
        chosen = other.of(then)
        operands = f"{self.type} {self.name}, {chosen.type} {chosen.name}"
        return self.function.emit(f"select {operands}, {other.type} {other.name}", other.element)

    def bits(self) -> Value:
        """Return the bits of a float as an i32, and back."""
        to = "i32" if self.element == "float" else "float"
        return self._converted("bitcast", to)

    def to_float(self) -> Value:
        """Return an i32's number as a float."""
        return self._converted("sitofp", "float")

    def magnitude(self) -> Value:
        """Return the absolute value."""
        lanes = self.function.lanes
        suffix = "f32" if lanes == 1 else f"v{lanes}f32"
        call = f"call {self.type} @llvm.fabs.{suffix}({self.type} {self.name})"
        return self.function.emit(call, "float")

    def of(self, other: Value | float) -> Value:
        """Return ``other`` as a value of this one's type."""
        if isinstance(other, Value):
            return other
        literal = _hexadecimal(other) if self.element == "float" else str(int(other))
        return self.function.constant(literal, self.element)

    def _binary(self, name: str, other: Value | float) -> Value:
        operation = f"f{name}" if self.element == "float" else name
        right = self.of(other)
        return self.function.emit(
            f"{operation} {self.type} {self.name}, {right.name}", self.element
        )

    def _compared(self, how: str, other: Value | float) -> Value:
        operands = f"{self.type} {self.name}, {self.of(other).name}"
        return self.function.emit(f"fcmp {how} {operands}", "i1")

    def _converted(self, how: str, to: str) -> Value:
        whole = self.function.type_of(to)
        return self.function.emit(f"{how} {self.type} {self.name} to {whole}", to)


Formula = Callable[[Value], Value]


def definition(symbol: str, formula: Formula, lanes: int) -> str:
    """Return LLVM's text of a function ``symbol`` of so many lanes that computes ``formula``."""
    function = Function(lanes=lanes)
    result = formula(Value(function=function, name="%x", element="float"))
    whole = function.type_of("float")
    body = "\n".join(function.lines)
    return f"define {whole} @{symbol}({whole} %x) {{\n{body}\n  ret {whole} {result.name}\n}}\n"


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Return a polynomial by Horner's rule, the highest power's coefficient first."""
    result = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        result = result * x + coefficient
    return result


def clamped(x: Value, low: float, high: float) -> Value:
    """Clamp by comparisons, which a NaN fails and so passes through."""
    raised = (x < low).select(low, x)
    return (raised > high).select(high, raised)


def _hexadecimal(number: float) -> str:
    """Return a float32's number as LLVM reads it: the bits of the equal float64."""
    (single,) = struct.unpack("<f", struct.pack("<f", number))
    return f"0x{struct.unpack('<Q', struct.pack('<d', single))[0]:016X}"
