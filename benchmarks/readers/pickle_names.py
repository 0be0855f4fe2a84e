"""What a pickle may use: names, keys, memory and time.

What stands for a name is a checked substitute, never the function itself.
"""

import collections
import re
import time
from collections.abc import Iterable
from typing import Any

from benchmarks.errors import UserError
from benchmarks.readers.safe_arrays import ALLOWED_ARRAYS


def _bytes(*arguments: Any) -> bytes:
    if arguments and not isinstance(arguments[0], (list, bytes, bytearray)):
        raise UserError("malformed bytes")
    return bytes(*arguments)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise UserError(f"text encoded as {encoding!r}: only latin1 occurs in data files")
    return text.encode("latin1")


def nothing(*_ignored: Any) -> None:
    """Replace what is not needed: the weights of trained networks."""


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): lambda *_factory: {},
    ("_codecs", "encode"): _encode,  # how protocol 2 stores bytes
    **ALLOWED_ARRAYS,
}
for _module in ("builtins", "__builtin__"):
    ALLOWED |= {(_module, kind.__name__): kind for kind in (set, frozenset, complex)}
    ALLOWED |= {(_module, kind): kind for kind in ("list", "dict", "int", "float")}  # what a defaultdict makes: unused
    ALLOWED |= {(_module, "bytes"): _bytes, (_module, "bytearray"): lambda *data: bytearray(_bytes(*data))}

CALLABLE = {id(known) for known in ALLOWED.values() if callable(known)} | {id(nothing)}
TORCH_NAMES = re.compile(r"torch\.\w+Storage|torch\._utils\._rebuild_(tensor|tensor_v2|parameter)")


KEY_PARTS = 8
"""Parts that a key may have, tuples in tuples counted through."""
KEY_BITS = 60
"""Bits of a whole number that is a key: many larger ones can have the same hash."""
MEMORY, PER_BYTE = 320 << 20, 10
"""Bytes that the objects may take by `SIZES`, and more for each byte read: files of NATS-Bench take 5."""
SECONDS, BYTES_PER_SECOND = 6.0, 400_000
"""Time that reading may take on the processor, and more for each byte read."""


class Budget:
    """What reading may take."""

    def __init__(self) -> None:
        self.taken, self.read = 0, 0
        self._since = time.thread_time()

    def take(self, size: int) -> None:
        """Count `size` bytes of memory; UserError beyond what is allowed."""
        self.taken += size
        if self.taken > MEMORY + PER_BYTE * self.read:
            raise UserError("its objects take far more memory than data of its size need; refused")

    def check_time(self) -> None:
        """UserError where it takes too long."""
        if time.thread_time() - self._since > SECONDS + self.read / BYTES_PER_SECOND:
            raise UserError("to read it takes far longer than data of its size need; refused")


ENTRY, TEXT = 100, 150
"""Bytes that an entry of a container and a remembered text may take."""
SIZES = [40] * 256
"""Bytes that the result of each of the 256 codes may take, without the bytes it is made of."""
for _code, _size in ((b"}", 250), (b"]", 100), (b"\x8f", 230), (b"\x91", 230), (b"(", 120), (b"R", 250), (b"X", TEXT)):
    SIZES[_code[0]] = _size
for _code in (b"\x8c", b"\x8d", b"U", b"T"):
    SIZES[_code[0]] = TEXT
KEY_TYPES = (str, bytes, int, bool, float, type(None), tuple, frozenset)
HASHING = (set, frozenset, collections.OrderedDict)


def check_keys(keys: Iterable) -> None:
    """Raise UserError for keys, of a dictionary or set, that data do not have: long, nested, or of odd types."""
    for key in keys:
        if type(key) in (str, bool, float, bytes) or key is None:
            continue
        parts = [key]
        for part in parts:
            if type(part) in (tuple, frozenset):
                parts += part
            wide = type(part) is int and part.bit_length() > KEY_BITS
            if len(parts) > KEY_PARTS or wide or type(part) not in KEY_TYPES:
                raise UserError(f"a {type(key).__name__} as a key that plain data never have; refused")
