"""The pickle machine against Python's own on plain data, and what it refuses."""

import bz2
import collections
import gzip
import io
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.errors import UserError
from benchmarks.readers.pickle_machine import Machine
from benchmarks.readers.safe_pickle import load_pickle

PROTOCOLS = (2, 3, 4, 5)


def plain(draw: random.Random, depth: int = 0):
    """Return random nested plain data."""
    if depth > 3 or draw.random() < 0.4:
        return draw.choice(
            [
                None,
                True,
                False,
                draw.getrandbits(draw.choice([7, 15, 31, 63, 200])),
                -draw.getrandbits(40),
                draw.random(),
                "é" * draw.randrange(4),
                "x" * draw.randrange(400),
                b"\x00\xff" * draw.randrange(200),
                1j,
            ]
        )
    items = [plain(draw, depth + 1) for _ in range(draw.randrange(6))]
    kind = draw.randrange(5)
    if kind == 0:
        return {draw.randrange(1000): item for item in items}
    if kind == 1:
        return collections.OrderedDict((f"key {i}", item) for i, item in enumerate(items))
    if kind == 2:
        return {draw.random() for _ in range(5)} if depth % 2 else frozenset(range(draw.randrange(5)))
    return items if kind == 3 else tuple(items)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_same_as_python(protocol):
    draw = random.Random(protocol)
    for _ in range(200):
        value = plain(draw)
        again = load_pickle(io.BytesIO(pickle.dumps(value, protocol)))
        assert again == value
        assert type(again) is type(value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_runs_of_pairs_same_as_python(protocol):
    """The fast path: long curves by epoch and by name, first and second mention, across buffer ends."""
    draw = random.Random(0)
    names = [f"{name}@{i}" for name in ("x-valid", "ori-test", "é") for i in range(300)]
    numbers = {i: draw.random() for i in range(70_000)}
    mixed = {i: draw.choice([1, 1.5, "s", (2.0,)]) for i in range(500)}
    value = [{name: draw.random() for name in names} for _ in range(40)] + [numbers, mixed, list(range(300)), names]
    assert load_pickle(io.BytesIO(pickle.dumps(value, protocol))) == value


class Trickle(io.RawIOBase):
    """Gives few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._data, self._draw = io.BytesIO(data), random.Random(1)

    def read(self, n: int = -1) -> bytes:
        return self._data.read(min(n, self._draw.randrange(1, 40_000)))


def test_any_block_size_gives_the_same():
    value = [{f"x-valid@{i}": i / 7 for i in range(300)} | {i: i / 3 for i in range(300)} for _ in range(60)]
    assert Machine(Trickle(pickle.dumps(value, 2))).load() == value


def test_a_defaultdict_becomes_a_dict():
    for factory in (list, dict, int, None):
        value = collections.defaultdict(factory, {"a": [1]})
        assert load_pickle(io.BytesIO(pickle.dumps(value))) == {"a": [1]}


def test_shared_objects_stay_shared():
    inner = {"a": 1}
    again = load_pickle(io.BytesIO(pickle.dumps([inner, inner])))
    assert again[0] is again[1]


ARRAYS = [
    np.arange(12, dtype="u1").reshape(3, 4),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.zeros((0, 3)),
    np.array(["ab", "c"]),
    np.array([b"ab"]),
    np.arange(3, dtype=">i4"),
    np.array(2.5),
    np.array([True, False]),
    np.float64(0.1),
    np.float32(0.5),
    np.int64(-3),
    np.bool_(True),
    np.str_("x"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("old_names", [False, True])
def test_numpy_values(protocol, old_names):
    for array in ARRAYS:
        raw = pickle.dumps(array, protocol)
        if old_names:  # as NumPy 1 wrote them
            raw = raw.replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")
            raw = raw.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
            raw = raw.replace(b"\x8c\x13numpy._core.numeric", b"\x8c\x12numpy.core.numeric")
        again = load_pickle(io.BytesIO(raw))
        np.testing.assert_array_equal(again, array)
        assert again.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        assert again.shape == array.shape


def test_python_2_batch():
    """As the CIFAR files of 2009 were written."""
    raw = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87R"
        b"q\x05(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff"
        b"\xff\xffK\x00tb\x89U\x04ab\xffdtbU\x06labelsq\x08]q\x09(K\x03K\x05eu."
    )
    batch = load_pickle(io.BytesIO(raw), encoding="bytes")
    np.testing.assert_array_equal(batch[b"data"], [[97, 98], [255, 100]])
    assert batch[b"labels"] == [3, 5]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed(tmp_path, pack):
    (tmp_path / "x").write_bytes(pack(pickle.dumps({"a": 1})))
    assert load_pickle(tmp_path / "x") == {"a": 1}


class Evil:
    def __init__(self, function, *given):
        self.call = function, given

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_hostile_pickles_run_nothing(tmp_path, protocol):
    mark = tmp_path / "mark"
    evils = (
        Evil(os.system, f"touch {mark}"),
        Evil(eval, f"open({str(mark)!r}, 'w')"),
        Evil(open, str(mark), "w"),
        Evil(np.save, str(mark), 1),
        Evil(getattr, "", "join"),
    )
    for evil in evils:
        with pytest.raises(UserError) as error:
            load_pickle(io.BytesIO(pickle.dumps({"data": [1, evil]}, protocol)))
        if protocol >= 2:
            assert "it asks to run '" in str(error.value)
            assert "nothing was run" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def array_pickle(shape: tuple, text: str, raw) -> bytes:
    """Return a pickled array with any shape and type, as a forger would write it."""

    class Forged:
        def __reduce__(self):
            return np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), (1, shape, np.dtype(text), False, raw)

    return pickle.dumps(Forged())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (array_pickle((2**40,), "f8", b"12345678"), "they do not fit"),
        (array_pickle((-1, -8), "u1", b"12345678"), "impossible shape"),
        (array_pickle((1,), "O", [1]), "the array type 'O8'"),
        (array_pickle((1,), "f8", [1]), "array of objects"),
        (array_pickle((1,), "i4,f8", b"0" * 12), "structured array"),
        (b"\x80\x02Nr\xff\xff\xff\xff.", "references that are out of order"),
        (b"\x80\x02Nq\x01h\x00.", "a reference to nothing"),
        (b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.", "malformed bytes"),
        (b"\x80\x04\x8e" + b"\xff" * 6 + b"\x0f\x00" + b"abc", "the data end early"),
        (b"\x80\x02U\x01xU\x01y\x85R.", "a call of something that is no function"),
        (b"\x80\x02NNNs.", "no dict"),
        (b"\x80\x02NNa.", "no list"),
        (b"\x80\x02N}b.", "a state for a NoneType"),
        (b"\x80\x02NQ.", "refers to data outside itself"),
        (b"\x80\x02ee.", "truncated or not a pickle (IndexError: pop from empty list)"),
        (b"", "the data end early"),
        (b"<html>", "which plain data of pickle protocols 2 to 5 does not need"),
    ],
)
def test_forged_and_broken_pickles(raw, said):
    with pytest.raises(UserError) as error:
        load_pickle(io.BytesIO(raw))
    assert said in str(error.value)


def test_every_truncation_is_an_error_of_one_line():
    raw = pickle.dumps([np.arange(3), {"a": 1.5, "b": "text"}, {i: 1.0 for i in range(5)}], 2)
    for end in range(len(raw)):
        with pytest.raises(UserError) as error:
            load_pickle(io.BytesIO(raw[:end]))
        assert "\n" not in str(error.value)


def test_random_damage_never_raises_anything_else():
    draw = random.Random(0)
    raw = pickle.dumps([np.arange(3), np.float64(1), {"a": 1.5}, {i: 1.0 for i in range(5)}, (1, 2), {3}], 4)
    for _ in range(3000):
        damaged = bytearray(raw)
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            load_pickle(io.BytesIO(bytes(damaged)))
        except UserError:
            continue


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_size_bomb_is_refused(tmp_path, pack):
    (tmp_path / "bomb").write_bytes(pack(pickle.dumps(b"\0" * (1 << 25))))
    with pytest.raises(UserError, match="bomb: it unpacks to more than 16,777,216 bytes; refused"):
        load_pickle(tmp_path / "bomb")


DEEP = b")" + b"\x85" * 300_000
"""A tuple in a tuple, and so on: to hash it crashes Python."""
WIDE = b")" + b"".join(b"2\x86" for _ in range(60)).replace(b"2", b"q\x00h\x00")
"""A pair of one pair twice, and so on: to hash it takes for ever."""
COLLIDING = b"".join(b"\x8a\x0a" + (i * ((1 << 61) - 1)).to_bytes(10, "little") for i in range(40_000))
"""Numbers of one hash."""
HOSTILE = {
    "deep key": b"}" + DEEP + b"Ns.",
    "deep set": b"\x8f(" + DEEP + b"\x90.",
    "deep frozenset": b"(" + DEEP + b"\x91.",
    "deep argument": b"c__builtin__\nset\n](" + DEEP + b"e\x85R.",
    "deep pair": b"ccollections\nOrderedDict\n]](" + DEEP + b"Nea\x85R.",
    "wide key": b"}" + WIDE + b"Ns.",
    "colliding numbers": b"\x8f(" + COLLIDING + b"\x90.",
    "colliding tuples": b"\x8f(" + b"".join(
        b"(" + b"".join(b"J" + (-1 - (i >> bit & 1)).to_bytes(4, "little", signed=True) for bit in range(14)) + b"t"
        for i in range(1 << 14)) + b"\x90.",
    "copies": b"(" + b"cbuiltins\nset\nq\x00](" + b"".join(b"M" + i.to_bytes(2, "little") for i in range(60_000))
        + b"eq\x01" + b"h\x00h\x01\x85R" * 20_000 + b"t.",
    "bytes of bytes": b"(cbuiltins\nbytearray\nq\x00B" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20) + b"q\x01"
        + b"h\x00h\x01\x85R" * 20_000 + b"t.",
    "sets": b"(" + b"\x8f" * 2_000_000 + b"t.",
    "lists": b"(" + b"]" * 4_500_000 + b"t.",
    "gaps": b"N" + b"".join(b"r" + (i * 1000).to_bytes(4, "little") for i in range(1, 60_000)) + b".",
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_small_in_a_file_and_large_in_memory_or_slow_is_refused(kind):
    """In another process, which a crash or too much memory would end."""
    script = (
        "import io, resource, sys; from benchmarks.readers.safe_pickle import load_pickle\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (10, 10))\n"
        "try: load_pickle(io.BytesIO(sys.stdin.buffer.read()))\n"
        "except ValueError as error: print(type(error).__name__, error)"
    )
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # each thread claims memory
    done = subprocess.run(
        [sys.executable, "-c", script], input=b"\x80\x02" + HOSTILE[kind], capture_output=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"UserError pickle: ") and done.stdout.strip().endswith(b"refused"), done.stdout


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="none.pkl: no such file; expected a pickle"):
        load_pickle(tmp_path / "none.pkl")
