"""The machine behind `safe_pickle`: pickles are read without running anything they contain.

A pickle is a small program for a machine with a stack. Python's own machine may call whatever the file names; this one
knows only the steps that build plain data (protocols 2 to 5) and may call only what `ALLOWED` lists: containers, and
NumPy's numbers and arrays under the names of NumPy 1 and 2. Those are not NumPy's functions but checked replacements,
because a forged dtype or shape can crash NumPy. Anything else ends the reading with a UserError that names it.

It reads as a stream: `on_dict` is called with every dictionary as it is filled and may thin it out, so a file of many
GB needs little memory. Long runs of (key, number) pairs, which make up nearly all of such files, are read at once.

A `Budget` for the whole file bounds memory, by what each step may take, and time. Keys of dictionaries and sets are
short: to hash a tuple of tuples can take for ever, and crashes Python where it is nested deeply.
"""

import collections
import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from benchmarks.errors import UserError
from benchmarks.readers.pickle_names import (
    ALLOWED,
    CALLABLE,
    ENTRY,
    HASHING,
    SIZES,
    TEXT,
    TORCH_NAMES,
    Budget,
    check_keys,
    nothing,
)
from benchmarks.readers.pickle_runs import INT1_RUN, INT2_RUN, REF1_RUN, REF4_RUN, X1, X8, X, text_run
from benchmarks.readers.safe_arrays import Array, DType

BLOCK = 1 << 18
MARGIN = 1 << 14  # what is kept ahead, so that a run of pairs is not cut
ABSENT = object()


class Machine:
    """Reads pickles one after the other from `stream`.

    `encoding` is for the strings of Python 2 ("bytes" keeps them). `on_dict(dictionary)` is called whenever pairs
    were put into a dictionary. With `drop_tensors` torch tensors become None; otherwise they are refused.
    """

    def __init__(
        self, stream: BinaryIO, encoding: str = "ASCII", on_dict: Callable[[dict], None] | None = None,
        drop_tensors: bool = False,
    ) -> None:  # fmt: skip
        self._stream, self._encoding, self._on_dict, self._drop_tensors = stream, encoding, on_dict, drop_tensors
        self._budget = Budget()
        self._buffer, self._at = b"", 0
        self._strings: dict[str, str] = {}  # one object per text, however often it is written

    def load(self) -> Any:
        """Return the next object. Raises EOFError where the stream ends early, UserError for a refused step."""
        self._stack: list = []
        self._marks: list[list] = []
        self._memo: list = []
        steps, sizes, taken = STEPS, SIZES, 0
        while True:
            if self._at + MARGIN > len(self._buffer):
                self._fill(MARGIN)
                self._budget.take(taken)
                taken = 0
            if self._at >= len(self._buffer):
                raise EOFError("the data end early")
            code = self._buffer[self._at]
            self._at += 1
            if code == STOP:
                return self._stack.pop()
            step = steps[code]
            if step is None:
                raise UserError(f"step {bytes([code])!r}, which plain data of pickle protocols 2 to 5 does not need")
            taken += sizes[code]
            step(self)

    def _fill(self, need: int) -> None:
        """Read on until `need` bytes lie ahead or the stream ends."""
        parts = [self._buffer[self._at :]]
        have = len(parts[0])
        while have < need and (block := self._stream.read(BLOCK)):
            parts.append(block)
            have += len(block)
            self._budget.read += len(block)
        self._buffer, self._at = b"".join(parts), 0
        self._budget.check_time()

    def _take(self, n: int) -> bytes:
        if self._at + n > len(self._buffer):
            self._fill(n)
        raw = self._buffer[self._at : self._at + n]
        if len(raw) < n:
            raise EOFError("the data end early")
        self._at += n
        return raw

    def _number(self, form: struct.Struct) -> Any:
        return form.unpack(self._take(form.size))[0]

    def _run(self, pattern: re.Pattern, form: np.dtype) -> bool:
        """Read a run of (key, number) pairs that `pattern` finds just before the next byte; say whether there was one.

        The fields of `form`: "value", and as key either "int", "ref" (a memo index) or "text" (to be memoised, under
        the consecutive indices "put" where the form has them).
        """
        found = pattern.match(self._buffer, self._at - 1)
        if found is None:
            return False
        pairs = np.frombuffer(found[0], dtype=form)
        if "int" in (form.names or ()):
            keys = pairs["int"].tolist()
        elif "ref" in (form.names or ()):
            keys = [self._memo[index] for index in pairs["ref"].tolist()]
            if any(key is ABSENT for key in keys):
                raise UserError("a reference to nothing")
        else:
            places = len(self._memo) + np.arange(len(pairs))
            if "put" in (form.names or ()) and not np.array_equal(pairs["put"], places):
                return False
            texts = [str(text, "utf-8", "surrogatepass") for text in pairs["text"].tolist()]
            keys = [self._strings.setdefault(text, text) for text in texts]
            self._memo += keys
            self._budget.take(TEXT * len(keys))
        items = [None] * (2 * len(pairs))
        items[::2], items[1::2] = keys, pairs["value"].tolist()
        self._stack += items
        self._at = found.end()
        return True

    def _line(self) -> str:
        end = self._buffer.find(b"\n", self._at)
        if end < 0:
            raise EOFError("the data end early")
        return self._take(end + 1 - self._at)[:-1].decode()

    def _pop_mark(self) -> list:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _put(self, index: int) -> None:
        if index > len(self._memo) + 1000:  # writers number in order; Python 2 began at 1
            raise UserError("references that are out of order; refused")
        self._budget.take(16 * max(0, index - len(self._memo)))
        while index > len(self._memo):
            self._memo.append(ABSENT)
        if index == len(self._memo):
            self._memo.append(self._stack[-1])
        else:
            self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        if self._memo[index] is ABSENT:
            raise UserError("a reference to nothing")
        self._stack.append(self._memo[index])

    def _text(self, code: int, form: struct.Struct) -> None:
        if code in (X, X1):
            n = self._buffer[self._at] if self._at < len(self._buffer) else 0
            if 0 < n < 32 and self._run(*text_run(code, n)):
                return
        n = self._number(form)
        text = str(self._take(n), "utf-8", "surrogatepass")
        self._stack.append(self._strings.setdefault(text, text) if n < 128 else text)

    def _old_text(self, n: int) -> None:
        raw = self._take(n)
        self._stack.append(raw if self._encoding == "bytes" else raw.decode(self._encoding))

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise UserError(f"items put into something that is no {kind.__name__}")
        return self._stack[-1]

    def _set_items(self, pairs: list) -> None:
        target, keys = self._top(dict), pairs[::2]
        check_keys(keys)
        target.update(zip(keys, pairs[1::2], strict=True))
        if self._on_dict is not None:
            self._on_dict(target)
            self._budget.check_time()

    def _append(self, items: list) -> None:
        self._top(list).extend(items)

    def _add(self, items: list) -> None:
        target = self._top(set)
        check_keys(items)
        target.update(items)

    def _frozen(self) -> None:
        items = self._pop_mark()
        check_keys(items)
        self._stack.append(frozenset(items))

    def _tuple_of_marked(self) -> None:
        items = self._pop_mark()
        self._stack.append(tuple(items))

    def _tuple(self, n: int) -> None:
        if len(self._stack) < n:
            raise IndexError("not enough items")
        self._stack[-n:] = [tuple(self._stack[-n:])]

    def _global(self, module: str, name: str) -> None:
        if (module, name) in ALLOWED:
            self._stack.append(ALLOWED[module, name])
        elif self._drop_tensors and TORCH_NAMES.fullmatch(f"{module}.{name}"):
            self._stack.append(nothing)
        else:
            again = "Get the file again from its official page, and do not open this one with other tools"
            raise UserError(f"it asks to run '{module}.{name}', which plain data never needs; nothing was run. {again}")

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(str(module), str(name))

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if id(function) not in CALLABLE:
            raise UserError("a call of something that is no function")
        for given in arguments:  # what is copied, as often as the file says
            if isinstance(given, (list, tuple, set, frozenset, dict)):
                self._budget.take(ENTRY * len(given))
                if function in HASHING:
                    pairs = function is collections.OrderedDict and not isinstance(given, dict)
                    check_keys([key for key, _ in given] if pairs else given)
            elif isinstance(given, (str, bytes, bytearray)):
                self._budget.take(len(given))
        self._stack.append(function(*arguments))

    def _build(self) -> None:
        state = self._stack.pop()
        if isinstance(self._stack[-1], (Array, DType)):
            self._budget.take(sum(len(part) for part in state if isinstance(part, (str, bytes, bytearray))))
            self._stack[-1].__setstate__(state)
        elif not (self._drop_tensors and isinstance(self._stack[-1], collections.OrderedDict)):
            raise UserError(f"a state for a {type(self._stack[-1]).__name__}, which plain data never needs")

    def _persistent(self) -> None:
        if not self._drop_tensors:
            raise UserError("it refers to data outside itself; it is not a plain pickle")
        self._stack[-1] = None


def _steps() -> list[Callable[[Machine], Any] | None]:
    """Return what each of the 256 codes does; None is refused."""
    u1, u2, u4, u8 = (struct.Struct(form) for form in ("<B", "<H", "<I", "<Q"))
    i4, f8 = struct.Struct("<i"), struct.Struct(">d")

    def push(make: Callable[[Machine], Any]) -> Callable[[Machine], None]:
        return lambda m: m._stack.append(make(m))

    def long(form: struct.Struct) -> Callable[[Machine], None]:
        return push(lambda m: int.from_bytes(m._take(m._number(form)), "little", signed=True))

    def in_runs(run: tuple[re.Pattern, np.dtype], single: Callable[[Machine], None]) -> Callable[[Machine], None]:
        return lambda m: None if m._run(*run) else single(m)

    def mark(m: Machine) -> None:
        m._marks.append(m._stack)
        m._stack = []

    table: dict[bytes, Callable[[Machine], Any]] = {
        b"\x80": lambda m: m._take(1),
        b"\x95": lambda m: m._take(8),  # version, frame
        b"K": in_runs(INT1_RUN, push(lambda m: m._number(u1))),
        b"M": in_runs(INT2_RUN, push(lambda m: m._number(u2))),
        b"J": push(lambda m: m._number(i4)),
        b"G": push(lambda m: m._number(f8)),
        b"\x8a": long(u1),
        b"\x8b": long(u4),
        b"N": push(lambda m: None),
        b"\x88": push(lambda m: True),
        b"\x89": push(lambda m: False),
        b"X": lambda m: m._text(X, u4),
        b"\x8c": lambda m: m._text(X1, u1),
        b"\x8d": lambda m: m._text(X8, u8),
        b"U": lambda m: m._old_text(m._number(u1)),
        b"T": lambda m: m._old_text(m._number(u4)),
        b"C": push(lambda m: m._take(m._number(u1))),
        b"B": push(lambda m: m._take(m._number(u4))),
        b"\x8e": push(lambda m: m._take(m._number(u8))),
        b"\x96": push(lambda m: bytearray(m._take(m._number(u8)))),
        b"q": lambda m: m._put(m._number(u1)),
        b"r": lambda m: m._put(m._number(u4)),
        b"\x94": lambda m: m._put(len(m._memo)),
        b"h": in_runs(REF1_RUN, lambda m: m._get(m._number(u1))),
        b"j": in_runs(REF4_RUN, lambda m: m._get(m._number(u4))),
        b"}": push(lambda m: {}),
        b"]": push(lambda m: []),
        b")": push(lambda m: ()),
        b"\x8f": push(lambda m: set()),
        b"(": mark,
        b"u": lambda m: m._set_items(m._pop_mark()),
        b"e": lambda m: m._append(m._pop_mark()),
        b"\x90": lambda m: m._add(m._pop_mark()),
        b"\x91": Machine._frozen,
        b"t": Machine._tuple_of_marked,
        b"s": lambda m: m._set_items([m._stack.pop(), m._stack.pop()][::-1]),
        b"a": lambda m: m._append([m._stack.pop()]),
        b"\x85": lambda m: m._tuple(1),
        b"\x86": lambda m: m._tuple(2),
        b"\x87": lambda m: m._tuple(3),
        b"c": lambda m: m._global(m._line(), m._line()),
        b"\x93": Machine._stack_global,
        b"R": Machine._reduce,
        b"b": Machine._build,
        b"Q": Machine._persistent,
    }
    return [table.get(bytes([code])) for code in range(256)]


STOP = ord(".")
STEPS = _steps()
