"""Finds libringmaster.so and says what its functions take; see ringmaster.h, whose words these are.

Nothing here is for users of the package.
"""

import ctypes
import os
import pathlib

VERSION = 1  # RINGMASTER_VERSION of the header that this file follows

FAILED, DONE, STEP, SCORE, WAITING = -1, 0, 1, 2, 3
SETS = ("train", "test")  # RINGMASTER_TRAIN_SET, RINGMASTER_TEST_SET


class Error(RuntimeError):
    """A run that cannot go on, or a mistake in how a session is used. The text says what to do."""


class Facts(ctypes.Structure):
    """ringmaster_facts."""
    _fields_ = [("rank", ctypes.c_int32), ("workers", ctypes.c_int32), ("batch", ctypes.c_int32),
                ("micro_batches", ctypes.c_int32), ("steps", ctypes.c_int64),
                ("seed", ctypes.c_uint64), ("parameters", ctypes.c_int64),
                ("device", ctypes.c_int32)]


class Moment(ctypes.Structure):
    """ringmaster_moment; pointers are addresses, None where there is nothing."""
    _fields_ = [("kind", ctypes.c_int32), ("set", ctypes.c_int32), ("samples", ctypes.c_void_p),
                ("sample_count", ctypes.c_int64), ("weights", ctypes.c_void_p),
                ("gradient_scale", ctypes.c_float), ("micro_batch", ctypes.c_int32),
                ("step", ctypes.c_int64), ("batch", ctypes.c_int64), ("seed", ctypes.c_uint64)]


_HANDLE, _ERROR = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
_INT32, _INT64, _TEXT = ctypes.c_int32, ctypes.c_int64, ctypes.c_char_p
# What each function returns, and what it takes.
_FUNCTIONS = {
    "version": (_INT32,),
    "free": (None, ctypes.c_void_p),
    "program_new": (_HANDLE, _INT32, _ERROR),
    "program_free": (None, _HANDLE),
    "program_add_tensor": (_INT32, _HANDLE, _TEXT, ctypes.POINTER(_INT64), _INT32,
                           ctypes.c_void_p, _ERROR),
    "program_set_samples": (_INT32, _HANDLE, _INT64, _INT64, _ERROR),
    "program_add_file": (_INT32, _HANDLE, _TEXT, _ERROR),
    "open": (_HANDLE, _HANDLE, _INT32, ctypes.POINTER(_TEXT), _ERROR),
    "get_facts": (None, _HANDLE, ctypes.POINTER(Facts)),
    "get_spec": (ctypes.c_void_p, _HANDLE),
    "next": (_INT32, _HANDLE, _INT32, ctypes.POINTER(Moment), _ERROR),
    "backward": (_INT32, _HANDLE, ctypes.POINTER(ctypes.c_void_p), _ERROR),
    "ready": (_INT32, _HANDLE, _INT32, _INT32, _ERROR),
    "end_step": (_INT32, _HANDLE, ctypes.c_double, _ERROR),
    "score": (_INT32, _HANDLE, ctypes.c_double, _INT64, _INT64, _ERROR),
    "fail": (None, _HANDLE, _TEXT),
    "close": (_INT32, _HANDLE, _ERROR),
}


def candidates():
    """Where the library may lie, by preference: what RINGMASTER_LIBRARY names, and nothing else
    then; beside the package, as in a bundle; where Bazel builds it in a checkout.
    """
    named = os.environ.get("RINGMASTER_LIBRARY")
    if named:
        return [pathlib.Path(named)]
    package = pathlib.Path(__file__).resolve().parent
    name = "libringmaster.so"
    places = [package / name]
    places.append(package.parents[1] / "bin" / name)  # of a bundle, whose python/ has the package
    if len(package.parents) > 2:
        places.append(package.parents[2] / "bazel-bin/experiments/program/session" / name)
    return places


class Library:
    """The functions of libringmaster.so by their names without "ringmaster_".

    Raises Error where there is no library, none that loads, or one of another version.
    """

    def __init__(self):
        places = candidates()
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise Error(
                "there is no libringmaster.so; looked for " + ", ".join(map(str, places)) +
                "; build it with `bazel build //experiments/program/session:libringmaster.so`, or "
                "name it: RINGMASTER_LIBRARY=/path/to/libringmaster.so")
        try:
            loaded = ctypes.CDLL(str(path))
            version = loaded.ringmaster_version()
        except (OSError, AttributeError) as error:
            raise Error(f"{path} does not load as Ringmaster's library: {error}; take it and the "
                        "Python package from one checkout or bundle") from error
        if version != VERSION:
            raise Error(f"{path} is of version {version} and {pathlib.Path(__file__).parent} of "
                        f"version {VERSION}; take both from one checkout or bundle")
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(loaded, "ringmaster_" + name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.path = path

    def take_text(self, address):
        """The text at `address`, which is freed."""
        text = ctypes.string_at(address).decode("utf-8", "replace")
        self.free(address)
        return text

    def checked(self, function, *arguments):
        """Calls `function` with `arguments` and a place for its error. Returns what it returns;
        raises Error with its text where there is one.
        """
        error = ctypes.c_void_p()
        result = function(*arguments, ctypes.byref(error))
        if error.value:
            raise Error(self.take_text(error.value))
        return result
