"""Whose fault an exception is that was raised while modules were imported."""

from __future__ import annotations

from types import ModuleType

import pytest

from builder.broken_environment import import_failure


def raised(module: str, text: str) -> Exception:
    """Return what the body of a module of this name raises."""
    names = ModuleType(module).__dict__
    with pytest.raises(Exception) as caught:
        exec(compile(text, module, "exec"), names)
    # The test's own frames are no import.
    assert isinstance(caught.value, Exception)
    return caught.value.with_traceback(caught.tb.tb_next)


def test_a_package_whose_body_raises_is_named() -> None:
    found = import_failure(raised("protobuf.runtime", "raise ValueError('Gencode/Runtime')"))
    assert found is not None and found.reason == "broken-environment"
    assert found.what.startswith("protobuf ")


def test_what_another_package_lacks_is_its_fault_and_not_the_importers() -> None:
    found = import_failure(raised("builder.payload.tools", "from json import nothing_there"))
    assert found is not None and found.what.startswith("json ")


@pytest.mark.parametrize("text", ["1 / 0", "raise ImportError('a circle', name='builder.steps')"])
def test_a_fault_of_ours_is_none_of_the_environment(text: str) -> None:
    assert import_failure(raised("builder.steps", text)) is None
