"""Checked substitutes for the NumPy types and functions that pickles of plain arrays name."""

import re
from typing import Any

import numpy as np

from benchmarks.errors import UserError

PLAIN_TYPE = re.compile(r"[<>=|]?[biufcSUV]\d{0,8}")


class DType:
    """Replaces `numpy.dtype` while unpickling; `resolve` returns the real one. Numbers and strings only."""

    def __init__(self, text: Any, *_flags: Any) -> None:
        if isinstance(text, bytes):
            text = text.decode("ascii", "replace")
        if not isinstance(text, str) or not PLAIN_TYPE.fullmatch(text):
            raise UserError(f"pickle with the array type {text!r}: only arrays of numbers and strings are read")
        self.text = text

    def __setstate__(self, state: Any) -> None:
        order, subtype, names, fields = state[1:5]
        if subtype is not None or names is not None or fields is not None:
            raise UserError("pickle with a structured array: only arrays of numbers and strings are read")
        self.order = order.decode("ascii") if isinstance(order, bytes) else order

    def resolve(self) -> np.dtype:
        """Return the NumPy dtype, in the byte order that was pickled."""
        return np.dtype(self.text).newbyteorder(getattr(self, "order", "|"))


class Array(np.ndarray):
    """An array whose pickled state is checked before NumPy sees it; otherwise an ordinary ndarray."""

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, fortran, raw = state
        if not isinstance(dtype, DType):
            raise UserError("pickle with a malformed array")
        if isinstance(raw, str):  # written by Python 2
            raw = raw.encode("latin1")
        if not isinstance(raw, (bytes, bytearray)):
            raise UserError("pickle with an array of objects: only numbers and strings are read")
        real = dtype.resolve()
        checked: Any = (1, _sizes(shape, real, len(raw)), real, bool(fortran), bytes(raw))
        super().__setstate__(checked)


def _sizes(shape: Any, dtype: np.dtype, n_bytes: int) -> tuple[int, ...]:
    """Return `shape` as a tuple, or raise where it does not hold exactly `n_bytes`."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    count = dtype.itemsize
    for n in shape:
        if not isinstance(n, int) or n < 0:
            raise UserError(f"pickle with an array of impossible shape {shape}")
        count *= n
    if count != n_bytes:
        raise UserError(f"pickle with an array of shape {shape} and {n_bytes} bytes: they do not fit")
    return shape


def _reconstruct(*_ignored: Any) -> Array:
    return np.empty(0, dtype="i1").view(Array)


def _scalar(dtype: DType, raw: Any) -> Any:
    if isinstance(raw, str):
        raw = raw.encode("latin1")
    real = dtype.resolve()
    _sizes((), real, len(raw))
    return np.frombuffer(raw, dtype=real)[0]


def _frombuffer(raw: Any, dtype: DType, shape: Any, order: str, *_axes: Any) -> np.ndarray:
    real = dtype.resolve()
    return np.frombuffer(raw, dtype=real).reshape(_sizes(shape, real, len(raw)), order="F" if order == "F" else "C")


ALLOWED_ARRAYS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): DType,
    ("numpy", "ndarray"): "ndarray",  # only ever an argument
}
for _module in ("numpy.core", "numpy._core"):
    ALLOWED_ARRAYS[f"{_module}.multiarray", "_reconstruct"] = _reconstruct
    ALLOWED_ARRAYS[f"{_module}.multiarray", "scalar"] = _scalar
    ALLOWED_ARRAYS[f"{_module}.numeric", "_frombuffer"] = _frombuffer
