"""``include/model.h`` as ctypes: its structures, its functions and its status codes."""

import ctypes
import enum
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from pathlib import Path

ABI_VERSION = 1


class Status(enum.IntEnum):
    """What a function of the library answers."""

    OK = 0
    ARGUMENT = 1
    MEMORY = 2
    WEIGHTS = 3
    CPU = 4
    THREAD = 5
    KERNEL = 6
    VALUE = 7


class ModelError(RuntimeError):
    """The library refused or failed. ``status`` is its code, the message its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> "tuple[type, tuple[int, str]]":
        # Unpickling (a worker process that failed) calls the class with its message alone.
        return (type(self), (self.status, str(self)))


class Options(ctypes.Structure):
    """``bw_options``."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("threads", c_int32),
        ("weights_path", c_char_p),
        ("cores", POINTER(c_int32)),
        ("skip_checksum", c_int32),
        ("cpu", c_char_p),
        ("weights", c_void_p),
        ("weights_bytes", c_uint64),
    )


class TensorInfo(ctypes.Structure):
    """``bw_tensor_info``."""

    _fields_ = (
        ("name", c_char_p),
        ("file", c_char_p),
        ("dtype", c_int32),
        ("ndim", c_int32),
        ("shape", POINTER(c_int64)),
        ("size_bytes", c_uint64),
    )


class KernelInfo(ctypes.Structure):
    """``bw_kernel_info``."""

    _fields_ = (
        ("name", c_char_p),
        ("nodes", c_char_p),
        ("calls", c_uint64),
        ("total_ns", c_uint64),
    )


_FUNCTIONS = {
    "bw_create": (c_int32, [POINTER(Options), POINTER(c_void_p)]),
    "bw_destroy": (None, [c_void_p]),
    "bw_abi_version": (c_int32, []),
    "bw_input_count": (c_int32, [c_void_p]),
    "bw_output_count": (c_int32, [c_void_p]),
    "bw_input_info": (c_int32, [c_void_p, c_int32, POINTER(TensorInfo)]),
    "bw_output_info": (c_int32, [c_void_p, c_int32, POINTER(TensorInfo)]),
    "bw_run": (c_int32, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "bw_last_error": (c_char_p, [c_void_p]),
    "bw_set_profiling": (c_int32, [c_void_p, c_int32]),
    "bw_kernel_count": (c_int32, [c_void_p]),
    "bw_kernel_get": (c_int32, [c_void_p, c_int32, POINTER(KernelInfo)]),
    "bw_thread_count": (c_int32, [c_void_p]),
    "bw_arena_bytes": (c_uint64, [c_void_p]),
    "bw_weights_bytes": (c_uint64, [c_void_p]),
    "bw_model_name": (c_char_p, []),
    "bw_target_name": (c_char_p, []),
    "bw_cpu_name": (c_char_p, [c_void_p]),
}


def load(path: Path) -> ctypes.CDLL:
    """Load a model library and declare its functions.

    Raises ``OSError`` where the system cannot load it (missing, another architecture, a newer C
    library than the board's) and where it is not a model library of this ABI.
    """
    library = ctypes.CDLL(str(path.resolve()))
    try:
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise OSError(f"{path} is not a model library: {error}") from error
    found = library.bw_abi_version()
    if found != ABI_VERSION:
        raise OSError(f"{path} has ABI {found}, this package knows {ABI_VERSION}")
    return library


def text(raw: "bytes | None") -> str:
    """Decode a name or a message of the library; bytes that are no UTF-8 show as U+FFFD."""
    return (raw or b"").decode("utf-8", "replace")
