"""Runs of (key, number) pairs in pickles, which make up nearly all of large files: read at once as NumPy arrays."""

import functools
import re

import numpy as np

X, X1, X8 = b"X\x8c\x8d"
"""Codes of texts, by the size of their length: 4 bytes, 1, 8."""


def _pairs(key: bytes, fields: list) -> tuple[re.Pattern, np.dtype]:
    """Return the pattern and form of 2 to 200 pairs of a key and an 8-byte number."""
    pattern = re.compile(b"(?:" + key + b"G.{8}){2,200}", re.DOTALL)
    return pattern, np.dtype([*fields, ("G", "u1"), ("value", ">f8")])


@functools.cache
def text_run(code: int, n: int) -> tuple[re.Pattern, np.dtype]:
    """Return the run whose keys are texts of `n` bytes, as protocol 2 (code X) or 4 (X1) writes them."""
    if code == X:
        key = b"X" + re.escape(bytes([n])) + rb"\0\0\0.{%d}r.{4}" % n
        return _pairs(key, [("X", "u1"), ("n", "<u4"), ("text", f"V{n}"), ("r", "u1"), ("put", "<u4")])
    key = rb"\x8c" + re.escape(bytes([n])) + rb".{%d}\x94" % n
    return _pairs(key, [("X", "u1"), ("n", "u1"), ("text", f"V{n}"), ("memoise", "u1")])


INT1_RUN = _pairs(b"K.", [("K", "u1"), ("int", "u1")])
INT2_RUN = _pairs(b"M..", [("M", "u1"), ("int", "<u2")])
REF1_RUN = _pairs(b"h.", [("h", "u1"), ("ref", "u1")])
REF4_RUN = _pairs(b"j.{4}", [("j", "u1"), ("ref", "<u4")])
