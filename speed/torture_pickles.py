"""Hostile pickles: made to run something, to crash, to fill the memory or to take for ever; what each becomes."""

import bz2
import collections
import gzip
import os
import pickle
import random
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from benchmarks.benchmark import space_of
from benchmarks.readers.recognise import read
from benchmarks.readers.safe_pickle import load_pickle
from benchmarks.readers.torch_files import is_torch_file, load_torch
from harness.inputs.draw import load_images
from speed.torture_files import ARCHS
from speed.torture_outcomes import Case, outcomes

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""What a file of torch.save began with until 2020; two more pickles follow before the object."""


def hostile_pickles(count: int, seed: int) -> collections.Counter[tuple[str, str]]:
    """Return (kind of pickle, outcome) -> how often, each of `count` pickles read in all of `WAYS`.

    One that is executed leaves a mark behind and is a RuntimeError.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mark = folder / "mark"

        def cases() -> Iterable[Case]:
            for number in range(count):
                kind = list(HOSTILE)[number % len(HOSTILE)]
                for way in WAYS:
                    yield (
                        kind,
                        lambda kind=kind, number=number, way=way: _hostile(
                            folder, mark, kind, way, random.Random(repr((seed, number)))
                        ),
                    )

        return outcomes(cases())


def _hostile(folder: Path, mark: Path, kind: str, way: str, draw: random.Random) -> Callable[[], object]:
    """Write a pickle as a file of some kind; return what reads it."""
    place = folder / f"case-{os.getpid()}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    raw = HOSTILE[kind](draw, mark)
    path = place / ("data_batch_1" if way == "images" else "x.pth")
    if way == "legacy":
        raw = MAGIC + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + raw
    if way == "packed":
        raw = draw.choice((gzip.compress, bz2.compress))(raw)
    path.write_bytes(raw)
    return lambda: _read(path, way, mark)


def _read(path: Path, way: str, mark: Path) -> None:
    try:
        if way == "images":
            load_images(path.parent, None)
        elif is_torch_file(path):
            with open(path, "rb") as stream:
                load_torch(stream)
            read(path, "pickle", space_of("201"), complete=False)
        else:
            load_pickle(path)
    finally:
        if mark.exists():
            mark.unlink()
            raise RuntimeError("executed")


WAYS = ("plain", "legacy", "packed", "images")


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _short(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _call(draw: random.Random, mark: Path) -> bytes:
    """A call of something that leaves a mark, in one of the ways a pickle can make it."""
    module, name, argument = draw.choice((
        ("os", "system", f"touch {mark}"), ("builtins", "eval", f"open({str(mark)!r}, 'w')"),
        ("builtins", "exec", f"open({str(mark)!r}, 'w')"), ("builtins", "open", str(mark)),
        ("subprocess", "call", f"touch {mark}"), ("numpy", "load", str(mark)), ("torch", "load", str(mark)),
        ("pathlib", "Path", str(mark)), ("builtins", "__import__", "os"), ("posix", "system", f"touch {mark}"),
    ))  # fmt: skip
    stacked = _short(module) + _short(name) + b"\x93"
    return b"\x80\x04" + draw.choice((
        _global(module, name) + _short(argument) + b"\x85R.", stacked + _short(argument) + b"\x85R.",
        b"(" + _short(argument) + f"i{module}\n{name}\n.".encode(), stacked + _short(argument) + b"\x85\x81.",
        b"(" + stacked + _short(argument) + b"o.", b"}" + _short("a") + stacked + _short(argument) + b"\x85Rs.",
        _global(module, name) + b")\x81" + b"}" + _short("x") + _short(argument) + b"sb.", stacked + b"}}\x92.",
    ))  # fmt: skip


def _deep(draw: random.Random, mark: Path) -> bytes:
    """Containers in containers, and where they end up: a key, a set, a value, an argument."""
    n = draw.choice((50, 1000, 100_000, 1_000_000))
    inner = draw.choice((b")" + b"\x85" * n, b"N" + b"\x85" * n, b"(" * n + b"t" * n, b"]" * n + b"a" * (n - 1),
                         b"N" + b"N\x86" * n, b"K\x01K\x02" + b"\x86N" * 5 + b"\x87" * (n // 3)))  # fmt: skip
    return b"\x80\x04" + draw.choice((
        b"}" + inner + b"Ns.", b"\x8f(" + inner + b"\x90.", b"(" + inner + b"\x91.", inner + b".",
        _global("builtins", "frozenset") + b"](" + inner + b"e\x85R.", b"}" + _short("data") + inner + b"s.",
        _global("collections", "OrderedDict") + b"]" + inner + b"N\x86a\x85R.",
    ))  # fmt: skip


def _shared(draw: random.Random, mark: Path) -> bytes:
    """A pair of one pair twice, and so on, as a key."""
    pairs = b")" + b"".join(b"q\x00h\x00\x86" for _ in range(draw.choice((20, 40, 80))))
    return b"\x80\x02" + draw.choice((b"}" + pairs + b"Ns.", b"\x8f(" + pairs + b"\x90.", b"(" + pairs + b"\x91."))


def _colliding(draw: random.Random, mark: Path) -> bytes:
    """Keys of one hash."""
    count, step = draw.choice((1000, 40_000, 100_000)), (1 << 61) - 1
    numbers = b"".join(b"\x8a\x0b" + (i * step).to_bytes(11, "little") for i in range(count))
    ones = b"".join(b"(" + b"".join(b"J" + struct.pack("<i", -1 - (i >> bit & 1)) for bit in range(16)) + b"t"
                    for i in range(min(count, 1 << 16)))  # fmt: skip
    made = draw.choice((numbers, ones))
    return b"\x80\x04" + draw.choice((b"\x8f(" + made + b"\x90.", b"(" + made + b"\x91."))


def _copies(draw: random.Random, mark: Path) -> bytes:
    """One container copied as often as the file says."""
    count = draw.choice((1000, 50_000))
    numbers = b"](" + b"".join(b"M" + struct.pack("<H", i) for i in range(50_000)) + b"eq\x01"
    blob = b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"q\x01"
    name, given = draw.choice((("set", numbers), ("frozenset", numbers), ("bytearray", blob), ("bytes", blob),
                               ("bytes", numbers)))  # fmt: skip
    return b"\x80\x02(" + _global("builtins", name) + b"q\x00" + given + b"h\x00h\x01\x85R" * count + b"t."


def _large(draw: random.Random, mark: Path) -> bytes:
    """Many small containers, gaps in the memo, lengths that lie."""
    n = draw.choice((1_000_000, 8_000_000))
    return b"\x80\x04" + draw.choice((
        b"(" + b"\x8f" * n + b"t.", b"(" + b"]" * n + b"t.", b"(" + b"}" * n + b"t.", b"(" * n + b".", b"N" * n + b".",
        b"N" + b"".join(b"r" + struct.pack("<I", i * 1000) for i in range(1, 200_000)) + b".",
        b"\x8e" + struct.pack("<Q", 1 << 62) + b"x", b"B" + struct.pack("<I", (1 << 32) - 1) + b"x",
        b"(" + b"K\x01" * n + b"l.", b"](" + b"G" + bytes(8) + b"e" + b"](G" * (n // 8), b"]" + b"2" * n + b".",
    ))  # fmt: skip


def _array(draw: random.Random, mark: Path) -> bytes:
    """An array whose shape, type or bytes are forged."""
    huge, negative = b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"J\xff\xff\xff\xff"
    shape = draw.choice((b"K\x01\x85", huge + b"\x85", negative + b"\x85", b"K\x00" + huge + b"\x86",
                         b"(" + b"K\x01" * 70 + b"t", b"N\x85", b"K\x08"))  # fmt: skip
    kinds = ("f8", "O", "O8", "V8", "S0", "U0", "S99999999", "i4,f8", "(3,)f8", "M8[s]", "c16", "x" * 300)
    kind = draw.choice(kinds)
    state = b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    if draw.random() < 0.3:
        state = draw.choice((b"(t", b"(K\x03U\x01?(NNt}NNNt", b"N", b"(K\x03U\x09xxxxxxxxxNNNNNNt"))
    dtype = _global("numpy", "dtype") + _short(kind) + b"K\x00K\x01\x87R" + state + b"b"
    raw = draw.choice((b"U\x0812345678", b"]", b"U\x00", b"N", b"K\x05"))
    start = _global("numpy.core.multiarray", "_reconstruct") + _global("numpy", "ndarray") + b"K\x00\x85U\x01b\x87R"
    scalar = _global("numpy.core.multiarray", "scalar") + dtype + raw + b"\x86R."
    buffer = _global("numpy.core.numeric", "_frombuffer") + raw + dtype + shape + b"U\x01C(tR."
    return b"\x80\x02" + draw.choice((start + b"(K\x01" + shape + dtype + b"\x89" + raw + b"tb.", scalar, buffer))


def _zipped(draw: random.Random, mark: Path) -> bytes:
    """A file of torch.save whose archive lies."""
    with tempfile.TemporaryFile() as file:
        torch.save({"meta_archs": list(ARCHS), "arch2infos": {}}, file)
        file.seek(0)
        raw = bytearray(file.read())
    at = draw.choice([i for i in range(len(raw)) if raw[i : i + 2] == b"PK"]) + draw.randrange(2, 46)
    for place in range(at, min(len(raw), at + draw.choice((1, 2, 4, 8)))):
        raw[place] = draw.choice((0, 1, 8, 9, 99, 255, draw.randrange(256)))
    return bytes(raw)


def _noise(draw: random.Random, mark: Path) -> bytes:
    """Steps at random, those of a pickle more often."""
    common = b"()]}NK\x01\x85\x86\x87\x8f\x90\x91\x94q\x00h\x00taeusR\x81b2Q.X\x8c\x93"
    return b"\x80\x04" + bytes(draw.choice(common) if draw.random() < 0.8 else draw.randrange(256) for _ in range(400))


HOSTILE: dict[str, Callable[[random.Random, Path], bytes]] = {
    "calls": _call, "deep": _deep, "shared": _shared, "colliding": _colliding, "copies": _copies, "large": _large,
    "arrays": _array, "archives": _zipped, "noise": _noise,
}  # fmt: skip
