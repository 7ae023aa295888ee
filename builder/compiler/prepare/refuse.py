"""The end of the road for what no rewrite could make static."""

from __future__ import annotations

import onnx

from builder.compiler.prepare.skeleton import Skeleton, serialized
from builder.compiler.refusals import Refusal, is_static, refused, survey
from builder.errors import ModelRefused


def refuse_unsupported(skeleton: Skeleton) -> None:
    """Raise ``ModelRefused`` naming every node that cannot be built, for whatever reason."""
    found = survey(skeleton.model)
    if found:
        raise refused(_with_unconvertible(skeleton, found))
    for output in skeleton.model.graph.output:
        if not is_static(output.type):
            raise ModelRefused(
                f"the shape of output {output.name!r} is unknown",
                reason="dynamic-output",
                remedy="a plan needs outputs of fixed shape; move that step out of the model",
            )


def _with_unconvertible(skeleton: Skeleton, found: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    # TVM takes a second: only a model that is refused anyway waits for the rest of its report.
    from builder.compiler.importing import all_refusals

    skeleton.writer.flush()
    model = onnx.ModelProto.FromString(serialized(skeleton))
    return all_refusals(model, skeleton.writer.path.parent, found)
