"""Run this bundle's model on numpy arrays, in this process.

    from boardwright_model import Model

    with Model() as model:
        outputs = model(*arrays)  # by position, or model({"name": array}), or model(name=array)

Needs Python 3.6 and numpy, and a board that the bundle was built for. Arrays go to the library as
they are: nothing is converted behind the caller's back.
"""

from boardwright_model._abi import ModelError, Status
from boardwright_model._model import KernelTime, Model
from boardwright_model._tensors import TensorSpec

__all__ = ["KernelTime", "Model", "ModelError", "Status", "TensorSpec"]
