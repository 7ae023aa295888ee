"""Options that raise what a model may cost before it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from builder.model.model_limits import DEFAULT_LIMITS, ModelLimits

_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)([KMGTP]?)(i?B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


class _Amount(click.ParamType[int]):
    """A number with K, M, G, T or P behind it, which stand for powers of ``thousand``."""

    name = "amount"

    def __init__(self, thousand: int) -> None:
        self._thousand = thousand

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        if (written := _NUMBER.fullmatch(value)) is None:
            self.fail(f"{value!r} is no amount: write 500G, 2.5T or digits", param, ctx)
        return int(float(written[1]) * self._thousand ** _POWERS[written[2].upper()])


_operations = click.option(
    "--limit-operations",
    metavar="N",
    type=_Amount(1000),
    default=DEFAULT_LIMITS.operations,
    help="Refuse a model whose run computes more [2T].",
)
_memory = click.option(
    "--limit-memory",
    metavar="BYTES",
    type=_Amount(1024),
    default=DEFAULT_LIMITS.memory_bytes,
    help="Refuse a model whose run holds more at once [8G].",
)


def limit_options(command: Callable[..., int]) -> Callable[..., Any]:
    """Give a verb the options; it gets them as one ``ModelLimits`` called ``limits``."""

    @wraps(command)
    def with_limits(**options: Any) -> int:
        limits = _taken(options)
        return command(**options, limits=limits)

    return _operations(_memory(with_limits))


def _taken(options: dict[str, Any]) -> ModelLimits:
    return ModelLimits(
        operations=options.pop("limit_operations"), memory_bytes=options.pop("limit_memory")
    )
