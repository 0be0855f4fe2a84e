"""Damaged files for every reader: what each becomes, in processes that may crash or hang.

A valid file of each kind is written and changed at random: bytes flipped, cut, repeated, numbers made extreme, pieces
of other files put in. `speed.torture_outcomes` reads them.
"""

import base64
import bz2
import collections
import json
import os
import pickle
import random
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

import benchmarks
from benchmarks.benchmark import Benchmark, space_of
from benchmarks.nasbench101.cells import OFFICIAL, OPERATIONS, graph_hash, parse_cell
from benchmarks.nasbench101.space import Space101
from benchmarks.readers.recognise import read, recognise
from benchmarks.readers.tfrecord import crc32c, masked
from benchmarks.table import Table, list_datasets, load_table, save_tables
from harness.inputs.draw import load_images
from harness.runs.score_table import arrange
from harness.store.parts import read_part
from harness.store.stored_run import load_run, read_manifest
from speed.torture_outcomes import Case, outcomes

ARCHS = space_of("201").archs[:6]
CELLS = ("|01", "conv3x3|01,12", "conv3x3,conv1x1|01,12,13,23")


class Kind(NamedTuple):
    """One reader: what writes a valid file or folder at a path, and what reads it."""

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]


def kinds() -> list[Kind]:
    """Return all readers of foreign files."""
    digits = benchmarks.load("201", "digits")

    def by_content(bench: str) -> Callable[[Path], object]:
        return lambda path: read(path, recognise(path), space_of(bench), complete=False)

    def scores(path: Path) -> object:
        return arrange(path, digits, str(path))

    return [
        Kind("accuracies.csv", lambda path: path.write_text(_csv()), by_content("201")),
        Kind("scores.csv", lambda path: path.write_text(_scores(digits)), scores),
        Kind("suite_zero.json", lambda path: path.write_text(_suite_zero(digits)), scores),
        Kind("legacy.pth", lambda path: torch.save(_official(), path, _use_new_zipfile_serialization=False),
             by_content("201")),
        Kind("zip.pth", lambda path: torch.save(_official(), path), by_content("201")),
        Kind("nats.pickle.pbz2", lambda path: path.write_bytes(bz2.compress(pickle.dumps(_official()))),
             by_content("201")),
        Kind("nats-simple", _nats_folder, by_content("201")),
        Kind("cells.tfrecord", lambda path: path.write_bytes(b"".join(map(_framed, _records()))), by_content("101")),
        Kind("cells.npz", _cells, by_content("101")),
        Kind("macro.json", lambda path: path.write_text(_macro()), by_content("macro")),
        Kind("table.h5", _table, lambda path: [load_table(path, name) for name in list_datasets(path)]),
        Kind("images.npz", lambda path: np.savez_compressed(path, images=_pixels(), labels=np.arange(8) % 3),
             lambda path: load_images(path, None)),
        Kind("images", _image_folder, lambda path: load_images(path, None)),
        Kind("cifar", _cifar, lambda path: load_images(path, None)),
        Kind("part.npz", _part, lambda path: read_part(path, 100)),
        Kind("manifest.json", lambda path: path.write_text(json.dumps(_manifest())), read_manifest),
        Kind("run", _run, load_run),
    ]  # fmt: skip


def _csv() -> str:
    rows = [f"{i},{arch},{50 + i}.5,{60 + i};{61 + i}\n" for i, arch in enumerate(ARCHS)]
    return "index,arch,cifar10_test_200,cifar100_test_200_per_seed\n" + "".join(rows)


def _scores(digits: Benchmark) -> str:
    return "arch,seed,a,b\n" + "".join(f"{arch},0,{i}.25,{-i}e3\n" for i, arch in enumerate(digits.table.archs[:9]))


def _suite_zero(digits: Benchmark) -> str:
    record = {"id": 1, "val_accuracy": 90.1, "snip": {"score": 1.5, "time": 0.1}, "flops": 3}
    return json.dumps({"digits": {arch: record for arch in digits.table.archs[:9]}})


def _training(epochs: int) -> dict:
    curve = {epoch: 50.0 + epoch for epoch in range(epochs)}
    named = {f"{name}@{epochs - 1}": 70.5 for name in ("x-valid", "ori-test", "x-test")}
    return {"epochs": epochs, "train_acc1es": curve, "train_times": curve, "eval_acc1es": named, "eval_losses": named,
            "net_state_dict": None, "flop": 15.6, "params": 0.1}  # fmt: skip


def _infos(arch: str) -> dict:
    runs = {(name, seed): _training(12) for name in ("cifar10", "cifar10-valid", "cifar100") for seed in (777, 888)}
    seeds = {name: [777, 888] for name in ("cifar10", "cifar10-valid", "cifar100")}
    return {"200": {"arch_str": arch, "dataset_seed": seeds, "all_results": collections.OrderedDict(runs)}}


def _official() -> dict:
    return {"meta_archs": list(ARCHS), "total_archs": 6, "arch2infos": {i: _infos(a) for i, a in enumerate(ARCHS)}}


def _nats_folder(path: Path) -> None:
    path.mkdir()
    meta = {"meta_archs": list(ARCHS), "total_archs": 6}
    contents = {"meta": meta} | {f"{i:06d}": _infos(arch) for i, arch in enumerate(ARCHS[:3])}
    for name, content in contents.items():
        (path / f"{name}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(content)))


def _framed(data: bytes) -> bytes:
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", masked(crc32c(head))) + data + struct.pack("<I", masked(crc32c(data)))


def _records() -> list[bytes]:
    space = Space101(CELLS)
    params = space.sizes(classes=10, resolution=32, **space.network)[0].astype(int).tolist()
    return [_record(text, number, repeat) for text, number in zip(CELLS, params, strict=True) for repeat in range(3)]


def _record(text: str, params: int, repeat: int) -> bytes:
    """Return one training as the official file has it; a field is its number and kind in a byte, then its value."""
    cell = parse_cell(text)
    names = ["input", *(OFFICIAL[OPERATIONS.index(each)] for each in cell.operations), "output"]
    matrix = "".join(str(int((a, b) in cell.edges)) for a in range(cell.vertices) for b in range(cell.vertices))
    message = b""
    for evaluation in range(3):
        values = (54.0 * evaluation, 900.0 + repeat, 0.9, 0.8, 0.7 + repeat / 100)
        inner = b"".join(bytes([field << 3 | 1]) + struct.pack("<d", value) for field, value in enumerate(values, 1))
        message += bytes([1 << 3 | 2, len(inner)]) + inner
    number, coded = params, b""
    while number > 127:
        coded, number = coded + bytes([number & 127 | 128]), number >> 7
    message += bytes([2 << 3]) + coded + bytes([number])
    return json.dumps([graph_hash(cell), 108, matrix, ",".join(names), base64.b64encode(message).decode()]).encode()


def _cells(path: Path) -> None:
    matrix, ops = np.zeros((3, 7, 7), np.int8), np.zeros((3, 7), np.int8)
    for row, text in enumerate(CELLS):
        cell = parse_cell(text)
        for a, b in cell.edges:
            matrix[row, a, b] = 1
        ops[row, : cell.vertices] = [-1, *(OPERATIONS.index(each) for each in cell.operations), -2]
    hashes = np.array([graph_hash(parse_cell(text)) for text in CELLS])
    np.savez_compressed(path, matrix=matrix, ops=ops, errors=np.full((3, 2, 4, 3), 0.125), hash=hashes)


def _macro() -> str:
    space = space_of("macro")
    params, flops, _ = space.sizes(classes=10, resolution=32, **space.network)
    facts = {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 0.816496580927726}
    return json.dumps({
        arch: facts | {"params": int(params[i]), "flops": int(flops[i])} for i, arch in enumerate(space.archs[:5])
    })  # fmt: skip


def _table(path: Path) -> None:
    accuracy = np.arange(48.0).reshape(6, 2, 2, 2)
    labels = ("valid", "test"), (12, 200), ("mean", "777")
    save_tables(path, [
        Table("201", name, ARCHS, *labels, accuracy, "made up", "0" * 64, {"channels": 16}, accuracy[:, 0])
        for name in ("cifar10", "cifar100")
    ])  # fmt: skip


def _pixels() -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (8, 3, 8, 8)).astype(np.uint8)


def _image_folder(path: Path) -> None:
    endings = ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "png")
    for i, (pixels, ending) in enumerate(zip(_pixels(), endings, strict=True)):
        (path / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(path / f"class{i % 2}" / f"{i}.{ending}")


def _cifar(path: Path) -> None:
    path.mkdir()
    for i in range(2):
        content = {"data": _pixels().reshape(8, -1), "labels": [0, 1, 2, 3] * 2, "batch_label": f"batch {i}"}
        (path / f"data_batch_{i}").write_bytes(pickle.dumps(content, protocol=2 + 2 * i))


def _manifest() -> dict:
    return {"settings": {"bench": "201", "share": True, "proxies": ["a"], "seeds": 1}, "proxies": {"a": {"cost": "S"}},
            "seconds": 1.5, "space_size": 15625, "unit": "strings", "target": {"dataset": "cifar10"}}  # fmt: skip


def _part(path: Path) -> None:
    scores = np.ones((2, 3))
    reasons = np.array(json.dumps([[["1", "why"]], []]))
    np.savez(path, seed=0, proxies=np.array(["a", "b"]), index=np.arange(3), scores=scores, seconds=scores,
             reasons=reasons)  # fmt: skip


def _run(path: Path) -> None:
    digits = benchmarks.load("201", "digits")
    from harness.runs.evaluate_scores import store_scores  # heavy: only where a run is made

    store_scores({"arch": list(digits.table.archs[:9]), "a": np.arange(9.0)}, "201", dataset="digits", out=path)


EXTREMES = (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 4, b"\xff" * 8, b"\x00" * 8, b"\x80" + b"\x00" * 7)
TOKENS = (b"nan", b"inf", b"-1", b"1e400", b"9" * 30, b"9" * 5000, b"null", b"[]", b"{}", b'""', b"\x1b[2J",
          b"\xc3\x28", b"true", b"0.0", b",", b";", b"\n", b"'", b'"', b"\xef\xbb\xbf", b"/", b"..")  # fmt: skip


def mutated(data: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """Return some bytes damaged in one to four ways."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        data = _changed(data, draw.choice(others), draw)
    return data


def _changed(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Return some bytes damaged in one way; `other` is a file that a piece may come from."""
    if not data:
        return draw.choice(TOKENS)
    at = draw.randrange(len(data))
    end = min(len(data), at + draw.choice((1, 2, 4, 8, 64, 1000)))
    before, piece, after = data[:at], data[at:end], data[end:]
    new, start = draw.choice(EXTREMES), draw.randrange(len(other))
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: before + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :],
        lambda: before + draw.randbytes(end - at) + after,
        lambda: before,
        lambda: before + after,
        lambda: before + piece * draw.choice((2, 50)) + after,
        lambda: before + new + data[at + len(new) :],
        lambda: before + draw.choice(TOKENS) + data[at:],
        lambda: before + draw.choice(TOKENS) + after,
        lambda: before + bytes(end - at) + after,
        lambda: before + other[start : start + 200] + after,
        lambda: _other_number(data, draw),
        lambda: b"",
    )
    return draw.choices(changes, [8, 6, 3, 3, 4, 8, 4, 6, 2, 2, 8, 0.2])[0]()


def _other_number(data: bytes, draw: random.Random) -> bytes:
    """Return some bytes with a run of digits replaced, or reversed where there is none."""
    runs = list(re.finditer(rb"[0-9]+", data))
    if not runs:
        return data[::-1]
    run = draw.choice(runs)
    new = draw.choice((b"0", b"-1", b"1", b"99999999", b"9" * 20, b"1e9", b"x", b""))
    return data[: run.start()] + new + data[run.end() :]


def damaged_files(count: int, seed: int) -> collections.Counter[tuple[str, str]]:
    """Return (reader, outcome) -> how often, for `count` damaged files shared by all readers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = kinds()
        for kind in found:
            kind.make(folder / kind.name)
            kind.read(folder / kind.name)  # whole, it is read
        parts = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
        others = [path.read_bytes() for path in parts]

        def cases() -> Iterable[Case]:
            for number in range(count):
                kind = found[number % len(found)]
                yield kind.name, lambda kind=kind, number=number: _damaged(folder, kind, others, (seed, number))

        return outcomes(cases())


def _damaged(folder: Path, kind: Kind, others: list[bytes], key: tuple[int, int]) -> Callable[[], object]:
    """Copy a valid file or folder, damage one file of it; return what reads it."""
    draw = random.Random(repr(key))
    place = folder / f"case-{os.getpid()}"
    shutil.rmtree(place, ignore_errors=True)
    source, path = folder / kind.name, place / kind.name
    place.mkdir()
    if source.is_dir():
        shutil.copytree(source, path)
        victim = draw.choice(sorted(each for each in path.rglob("*") if each.is_file() and each.name != ".lock"))
    else:
        victim = Path(shutil.copy(source, path))
    victim.write_bytes(mutated(victim.read_bytes(), others, draw))
    return lambda: kind.read(path)
