"""Into channel blocks, from where a value's elements were computed.

Networks between rows and images (a token for each pixel) move [N, H x W, C] to [N, C, H, W] before
they convolve. In rows a pixel's channels lie side by side already, a block of them as one vector.
"""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from builder.compiler.blocking.forms import Blocked, Forms, shape
from builder.compiler.blocking.views import View, view
from builder.compiler.kernels.conv import Compute

_IMAGE_RANK = 4


def in_blocks(forms: Forms, var: relax.Var) -> Blocked:
    """Return the blocked form of a variable that holds [N, C, H, W] or [N, C, W]."""
    if var not in forms.blocked and (rows := _rows(forms, var)) is not None:
        compute = _from_rows(rows, shape(var), forms.block)
        source = forms.plain_form(rows.source)
        made = forms.move(var, compute, source, name="rows_to_blocks")
        forms.blocked[var] = Blocked(made, shape(var)[1])
    return forms.blocked_form(var)


def enters_cheaply(forms: Forms, var: relax.Expr) -> bool:
    """Tell whether a value is in blocks already, or moves there vector by vector."""
    return isinstance(var, relax.Var) and (var in forms.blocked or _rows(forms, var) is not None)


def _rows(forms: Forms, var: relax.Var) -> View | None:
    """Return an image as a view of rows in which its channels lie side by side, if it is one."""
    if len(shape(var)) != _IMAGE_RANK or shape(var)[1] % forms.block:
        return None
    rows = view(forms, var, scaled=False)
    if not rows.moves or rows.source in forms.blocked:
        return None
    n, c, y, x = (tirx.Var(name, "int32") for name in "ncyx")
    innermost = rows.at((n, c, y, x))[-1]
    return rows if isinstance(innermost, tirx.Var) and innermost.same_as(c) else None


def _from_rows(rows: View, extents: tuple[int, ...], lanes: int) -> Compute:
    batch, channels, height, width = extents

    def of(data: te.Tensor) -> te.Tensor:
        def element(n: Any, c: Any, y: Any, x: Any, v: Any) -> Any:
            return data[rows.at((n, c * lanes + v, y, x))]

        return te.compute((batch, channels // lanes, height, width, lanes), element)

    return of
