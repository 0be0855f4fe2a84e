"""The names a pickle may use, and what stands for each: checked substitutes, never the functions themselves."""

import collections
import re
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
