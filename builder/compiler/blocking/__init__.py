"""Move a network to channel blocks, and its products to packed operands.

NCHW becomes [N, C/c, H, W, c]. A rule makes of one operator a new value, in blocks or plain; where
no rule fits, TVM's own lowering has the operator. Weights are packed here, in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tvm
from tvm import relax

from builder.compiler import provenance
from builder.compiler.blocking import attention, convolutions, elementwise, images, products
from builder.compiler.blocking.forms import Blocked, Forms, is_operator, readers_of
from builder.compiler.operators import responses

Rule = Callable[[Forms, relax.Var, relax.Call], relax.Expr | Blocked | None]

RULES: Mapping[str, Rule] = {
    "relax.nn.conv1d": convolutions.conv1d,
    "relax.nn.conv2d": convolutions.conv2d,
    "relax.nn.conv2d_transpose": convolutions.conv2d_transpose,
    "relax.nn.max_pool2d": images.max_pool,
    "relax.nn.avg_pool2d": images.average_pool,
    "relax.mean": images.mean,
    responses.OPERATOR: images.local_response,
    "relax.concat": images.concat,
    "relax.image.resize2d": images.resize,
    "relax.strided_slice": images.channel_slice,
    "relax.matmul": products.product,
    "relax.permute_dims": attention.transposed,
    "relax.nn.softmax": products.row_softmax,
    "relax.nn.layer_norm": products.layer_norm,
    **dict.fromkeys(elementwise.UNARY, elementwise.unary),
    **dict.fromkeys(elementwise.BINARY, elementwise.binary),
}


def to_blocks(mod: tvm.IRModule, block: int, *, use_winograd: bool) -> tvm.IRModule:
    """Return ``mod`` with main's convolutions, pools and products over packed operands.

    ``block`` is the number of channels in a block, whole vectors of every CPU the code is for.
    """
    main = mod["main"]
    builder = relax.BlockBuilder(_without_main(mod))
    params = [relax.Var(param.name, param.ty) for param in main.params]
    forms = Forms(
        builder=builder,
        block=block,
        use_winograd=use_winograd,
        definitions={each.var: each.value for each in provenance.bindings(main)},
        readers=readers_of(provenance.bindings(main)),
    )
    forms.plain.update(zip(main.params, params, strict=True))
    with builder.function("main", params):
        with builder.dataflow():
            for binding in provenance.bindings(main):
                _rewrite(forms, binding)
            out = builder.emit_output(forms.in_plain(main.body.body))
        builder.emit_func_output(out)
    blocked = builder.get()
    # The output is an alias until the next clean-up makes it the binding itself.
    return provenance.rename(blocked, provenance.attributed(blocked["main"], {}))


def _rewrite(forms: Forms, binding: relax.Binding) -> None:
    var, value = binding.var, binding.value
    if isinstance(value, tvm.ir.GenericConst):
        forms.plain[var] = value
        return
    forms.hint = str(var.name)
    rule = _rule(value) if _is_float32(var) else None
    made = rule(forms, var, value) if rule else None
    if isinstance(made, Blocked):
        forms.blocked[var] = made
        return
    plain = forms.in_plain(value) if made is None else made
    forms.plain[var] = plain if isinstance(plain, relax.Var) else forms.emit(plain)


def _rule(value: relax.Expr) -> Rule | None:
    return RULES.get(value.op.name) if is_operator(value) else None


def _is_float32(var: relax.Var) -> bool:
    return isinstance(var.ty, relax.TensorType) and str(var.ty.dtype) == "float32"


def _without_main(mod: tvm.IRModule) -> tvm.IRModule:
    """Return the kernels that the importer itself wrote, for the new main to call."""
    return tvm.IRModule({v: f for v, f in mod.functions.items() if v.name_hint != "main"})
