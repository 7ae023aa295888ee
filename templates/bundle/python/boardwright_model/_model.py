"""One instance of the model."""

import ctypes
import os
import threading
from ctypes import byref, c_int32, c_void_p
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from boardwright_model import _abi
from boardwright_model._tensors import (
    TensorSpec,
    bind,
    check_output,
    make_aligned,
    make_spec,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BUNDLE = Path(__file__).resolve().parent.parent.parent

Inputs = Union[Mapping[str, object], Sequence[object]]
PathLike = Union[str, "os.PathLike[str]"]


class KernelTime(NamedTuple):
    """The time one kernel has taken since profiling began, and the ONNX nodes it computes."""

    name: str
    nodes: Tuple[str, ...]
    calls: int
    total_ns: int


class Model:
    """One instance of the model, with its own working memory and threads.

    ``bundle`` is the bundle's folder, by default the one this package lies in; ``library`` another
    file to load than its ``lib/libmodel.so``. ``threads`` 0 is one per usable core; ``cores`` are
    core numbers to pin to, one a thread, the caller's first. ``check_weights`` False starts faster
    by trusting the weights file. Raises ``OSError`` where the library cannot be loaded,
    ``ModelError`` where it refuses to start.

    Threads may share an instance; their runs wait for each other. A process made by fork cannot use
    its parent's instances.
    """

    def __init__(
        self,
        bundle: Optional[PathLike] = None,
        threads: int = 0,
        library: Optional[PathLike] = None,
        cores: Optional[Sequence[int]] = None,
        check_weights: bool = True,
    ) -> None:
        self._handle = c_void_p()
        self._lock = threading.Lock()
        self._process = os.getpid()
        root = Path(bundle) if bundle is not None else _BUNDLE
        self._library = _abi.load(Path(library or root / "lib" / "libmodel.so"))
        self._create(_options(root, threads, cores, check_weights))
        functions = self._library
        self.inputs = self._specs(functions.bw_input_count, functions.bw_input_info)
        self.outputs = self._specs(functions.bw_output_count, functions.bw_output_info)
        self.name = _abi.text(functions.bw_model_name())
        self.target = _abi.text(functions.bw_target_name())
        self.cpu = _abi.text(functions.bw_cpu_name(self._handle))
        self.threads = int(functions.bw_thread_count(self._handle))
        self.arena_bytes = int(functions.bw_arena_bytes(self._handle))
        self.weights_bytes = int(functions.bw_weights_bytes(self._handle))

    def __call__(self, *arrays: object, **named: object) -> "Dict[str, NDArray[Any]]":
        """Run once and return the outputs by name.

        Inputs come by position, by keyword, or as one mapping (for names that are no keywords).
        Raises as ``run`` does.
        """
        if len(arrays) == 1 and isinstance(arrays[0], Mapping):
            return self._run((), {**arrays[0], **named}, {})
        return self._run(arrays, named, {})

    def run(
        self, inputs: Inputs, out: "Optional[Mapping[str, NDArray[Any]]]" = None
    ) -> "Dict[str, NDArray[Any]]":
        """Run once on a mapping or a sequence of inputs and return the outputs by name.

        Outputs named in ``out`` are written to the arrays given there; contiguous ones on 64-byte
        boundaries save a copy. Raises ``TypeError`` and ``ValueError`` for arrays that do not fit,
        ``ModelError`` where the library fails, of status ``Status.VALUE`` where the inputs hold, or
        lead to, an index, a length or a divisor that the model cannot have.
        """
        if isinstance(inputs, Mapping):
            return self._run((), dict(inputs), out or {})
        if isinstance(inputs, (list, tuple)):
            return self._run(tuple(inputs), {}, out or {})
        raise TypeError("inputs must be a mapping, a list or a tuple of arrays")

    def set_profiling(self, enabled: bool) -> None:
        """Time every kernel of the runs that follow, from zero; or stop doing so."""
        with self._lock:
            self._check(self._library.bw_set_profiling(self._open(), int(enabled)))

    def kernels(self) -> Tuple[KernelTime, ...]:
        """Return every kernel in the order they run, with its time so far."""
        with self._lock:
            count = self._library.bw_kernel_count(self._open())
            return tuple(self._kernel(index) for index in range(count))

    def close(self) -> None:
        """Free the instance. Closing twice is harmless; any other use afterwards is an error."""
        with self._lock:
            handle, self._handle = self._handle, c_void_p()
            # The threads that destroying waits for do not exist in a forked child.
            if handle.value and self._process == os.getpid():
                self._library.bw_destroy(handle)

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_library"):
            self.close()

    def _create(self, options: _abi.Options) -> None:
        status = self._library.bw_create(byref(options), byref(self._handle))
        if status != _abi.Status.OK and not self._handle.value:
            raise _abi.ModelError(_abi.Status.MEMORY, "no memory for an instance of the model")
        self._check(status)

    def _specs(self, count: Callable[..., int], get: Callable[..., int]) -> Tuple[TensorSpec, ...]:
        specs = []
        for index in range(count(self._handle)):
            info = _abi.TensorInfo()
            self._check(get(self._handle, index, byref(info)))
            shape = tuple(int(info.shape[axis]) for axis in range(info.ndim))
            specs.append(make_spec(_abi.text(info.name), info.dtype, shape))
        return tuple(specs)

    def _run(
        self,
        given: Tuple[object, ...],
        named: Dict[str, object],
        out: "Mapping[str, NDArray[Any]]",
    ) -> "Dict[str, NDArray[Any]]":
        arrays = bind(self.inputs, given, named)
        results = self._results(out)
        buffers = [
            array if _is_usable(array, arrays) else make_aligned(spec)
            for spec, array in zip(self.outputs, results)
        ]
        with self._lock:
            self._check(self._library.bw_run(self._open(), _pointers(arrays), _pointers(buffers)))
        for array, buffer in zip(results, buffers):
            if buffer is not array:
                array[...] = buffer.view(array.dtype)
        return {spec.name: array for spec, array in zip(self.outputs, results)}

    def _results(self, out: "Mapping[str, NDArray[Any]]") -> "List[NDArray[Any]]":
        unknown = sorted(out.keys() - {spec.name for spec in self.outputs})
        if unknown:
            known = [spec.name for spec in self.outputs]
            raise TypeError(f"unknown outputs {unknown!r}; the model has {known!r}")
        return [
            check_output(spec, out[spec.name]) if spec.name in out else make_aligned(spec)
            for spec in self.outputs
        ]

    def _kernel(self, index: int) -> KernelTime:
        info = _abi.KernelInfo()
        self._check(self._library.bw_kernel_get(self._handle, index, byref(info)))
        nodes = tuple(filter(None, _abi.text(info.nodes).split("\n")))
        return KernelTime(_abi.text(info.name), nodes, int(info.calls), int(info.total_ns))

    def _open(self) -> c_void_p:
        if not self._handle.value:
            raise ValueError("the model is closed")
        if self._process != os.getpid():
            raise RuntimeError("the model belongs to the parent process; make one after the fork")
        return self._handle

    def _check(self, status: int) -> None:
        if status != _abi.Status.OK:
            message = _abi.text(self._library.bw_last_error(self._handle))
            raise _abi.ModelError(status, message)


def _options(
    root: Path, threads: int, cores: Optional[Sequence[int]], check_weights: bool
) -> _abi.Options:
    if cores is not None and threads not in (0, len(cores)):
        raise ValueError(f"{len(cores)} cores for {threads} threads")
    weights = root / "share" / "weights.bin"
    return _abi.Options(
        struct_size=ctypes.sizeof(_abi.Options),
        threads=threads if cores is None else len(cores),
        weights_path=os.fsencode(str(weights)) if weights.exists() else None,
        cores=None if cores is None else (c_int32 * len(cores))(*cores),
        skip_checksum=int(not check_weights),
    )


def _is_usable(array: "NDArray[Any]", inputs: "List[NDArray[Any]]") -> bool:
    """Tell whether the library may write to ``array``: packed, and apart from every input."""
    packed = array.flags.c_contiguous and array.flags.aligned
    return packed and not any(np.may_share_memory(array, other) for other in inputs)


def _pointers(arrays: "List[NDArray[Any]]") -> "ctypes.Array[c_void_p]":
    return (c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
