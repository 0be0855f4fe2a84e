"""Files that are broken, or made to do harm, through the readers and through the command: one line, nothing left."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from test_nasbench101 import FEW, archive, full, record
from test_nasbench101 import write as write_records
from test_nasbench_macro import entry
from test_tfrecord import framed

import benchmarks
from benchmarks import UserError, benchmark, convert
from benchmarks import __main__ as overview
from benchmarks.errors import UserError as Error
from benchmarks.nasbench101.archive import read_npz
from benchmarks.nasbench101.files import read_official
from benchmarks.nasbench_macro.files import read_official as read_macro
from benchmarks.readers import foreign, hdf5_check, recognise, tfrecord
from benchmarks.readers.csv_table import read_csv
from benchmarks.table import Table, list_datasets, load_table, save_tables

h5py = pytest.importorskip("h5py")


def refused(read, *given, **named) -> str:
    """Return the one line that a reader says."""
    with pytest.raises(UserError) as error:
        read(*given, **named)
    said = str(error.value)
    assert "\n" not in said and "\x1b" not in said
    return said


def test_an_error_is_one_line_whatever_is_in_it():
    assert str(Error("a\nb\x1b[2J\u2028c\tü")) == r"a\nb\x1b[2J\u2028c\tü"
    assert str(pickle.loads(pickle.dumps(Error("a\nb")))) == r"a\nb"


# The command, for every kind of file that is none of the benchmark's


class Evil:
    """A pickle that leaves a mark when it is run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


NAMES = (
    "NAS-Bench-201-v1_1-096897.pth", "NATS-tss-v1_0-3ffb9.pickle.pbz2", "nasbench_only108.tfrecord",
    "nasbench_full.tfrecord", "nas-bench-macro_cifar10.json", "cells.npz", "mine.csv",
)  # fmt: skip


@pytest.mark.parametrize("bench", ["201", "101", "macro", "1shot1-1"])
@pytest.mark.parametrize("name", NAMES)
def test_a_pickle_under_any_name_runs_nothing(tmp_path, capsys, name, bench):
    mark = tmp_path / "mark"
    (tmp_path / name).write_bytes(pickle.dumps({"meta_archs": [], "arch2infos": Evil(mark)}))
    assert convert.main([str(tmp_path / name), "--bench", bench, "--quiet", "--partial"]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and printed.out == ""
    assert "nothing was run" in printed.err or "which is no form of" in printed.err
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["nasbench201.h5", "nasbench201.csv"])
def test_a_pickle_in_place_of_a_table_runs_nothing(tmp_path, name):
    mark = tmp_path / "mark"
    (tmp_path / name).write_bytes(pickle.dumps(Evil(mark)))
    said = refused(benchmarks.load, "201", data=tmp_path)
    assert name in said and not mark.exists()


def test_a_packed_torch_file_is_not_unpacked(tmp_path, capsys):
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps("a" * 10**7))
    assert convert.main([str(path), "--bench", "201", "--quiet", "--partial"]) == 2
    assert "archive/data.pkl is packed" in capsys.readouterr().err


def test_arrays_of_objects_in_an_archive_run_nothing(tmp_path):
    mark = tmp_path / "mark"
    for name in ("matrix", "ops", "errors", "hash"):
        np.savez(tmp_path / "x.npz", **archive() | {name: np.array([Evil(mark)] * 3, dtype=object)})
        assert "not a NumPy archive of plain arrays" in refused(read_npz, tmp_path / "x.npz", complete=False)
    np.savez(tmp_path / "x.npz", **archive(), more=np.array([Evil(mark)], dtype=object))
    assert len(read_npz(tmp_path / "x.npz", complete=False)[0]) == 3  # what is not asked for is not read
    assert not mark.exists()


# NAS-Bench-101


def test_a_long_record_is_not_taken_for_one(tmp_path):
    """A batch is padded to its longest record, so that one of a megabyte would take gigabytes."""
    assert tfrecord.LONGEST * tfrecord.BATCH <= 1 << 27
    longest = framed(b" " * (tfrecord.LONGEST + 1))
    path = write_records(tmp_path / "x.tfrecord", [record(FEW[0], 108, 0)])
    path.write_bytes(path.read_bytes() + longest)
    assert "record 2 has a damaged length" in refused(read_official, path, complete=False)


def test_a_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "BATCH", 4)
    path = write_records(tmp_path / "x.tfrecord", full() * 1)
    sizes = [len(framed(each)) for each in full()]
    seen = tfrecord.records(path)
    assert next(seen)[0] == full()[0]
    os.truncate(path, sum(sizes[:40]) + 5)
    with pytest.raises(UserError, match=r"record \d+ is cut short; the file is truncated"):
        list(seen)


@pytest.mark.parametrize(
    "changed",
    [
        ["0" * 32, 108, "0", "input", "x", "more"],
        [["unhashable"], 108, "010001000", "input,conv3x3-bn-relu,output", "AA=="],
        [None, True, None, None, None],
        [{}, 108.5, [], {}, 1],
        {"0": 1},
        "text",
        10**400,
        float("nan"),
        ["\n\x1b[2J", 108, "01\n0", "input,\n,output", "\n"],
    ],
)
def test_records_of_other_types(tmp_path, changed):
    path = write_records(tmp_path / "x.tfrecord", [record(FEW[0], 108, 0), json.dumps(changed).encode()])
    assert "record 2 is none of NAS-Bench-101" in refused(read_official, path, complete=False)


def test_a_number_of_any_length_is_no_record(tmp_path):
    path = write_records(tmp_path / "x.tfrecord", [b"1" * 10_000])
    assert "record 1 is none of NAS-Bench-101" in refused(read_official, path, complete=False)


# An archive of cells


def zipped(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def plain(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


def parts() -> dict[str, bytes]:
    return {f"{name}.npy": plain(array) for name, array in archive().items()}


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    content = parts() | {"matrix.npy": plain(np.zeros((200_000, 7, 7), dtype=np.int8))}
    path = zipped(tmp_path / "x.npz", content)
    assert path.stat().st_size < 30_000
    monkeypatch.setattr(hdf5_check, "LEAST", 1_000_000)
    monkeypatch.setattr(foreign, "_array", lambda *_: pytest.fail("it was unpacked"))
    assert "it unpacks to 9,80" in refused(read_npz, path, complete=False)


def test_an_array_that_claims_a_size_is_not_believed(tmp_path, monkeypatch):
    header = plain(np.zeros((3, 7, 7), dtype=np.int8)).replace(b"(3, 7, 7), }", b"(9" + b"0" * 12 + b", 7, 7)}", 1)
    monkeypatch.setattr(foreign, "_array", lambda *_: pytest.fail("it was unpacked"))
    for data in (header, header[:128]):
        said = refused(read_npz, zipped(tmp_path / "x.npz", parts() | {"matrix.npy": data}), complete=False)
        assert "it claims an array matrix of shape" in said


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"text", b"\x93NUMPY\x01\x00\xff\xff{", b"\x93NUMPY\x09\x00"])
def test_members_that_are_no_arrays(tmp_path, data):
    path = zipped(tmp_path / "x.npz", parts() | {"errors.npy": data})
    assert "x.npz: truncated or not a NumPy archive" in refused(read_npz, path, complete=False)


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan, np.inf])
def test_matrices_hold_0_and_1_alone(tmp_path, value):
    content = archive()
    content["matrix"] = content["matrix"].astype(float)
    content["matrix"][1][content["matrix"][1] == 1] = value
    np.savez(tmp_path / "x.npz", **content)
    assert "1 rows are no cells of at most 7 vertices and 9 edges: row 1" in refused(
        read_npz, tmp_path / "x.npz", complete=False
    )


def test_every_cut_and_random_damage_of_an_archive(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", **archive())
    raw, draw = (tmp_path / "x.npz").read_bytes(), np.random.default_rng(0)
    for n in range(0, len(raw), 40):
        (tmp_path / "x.npz").write_bytes(raw[:n])
        refused(read_npz, tmp_path / "x.npz", complete=False)
    for _ in range(60):
        damaged = bytearray(raw)
        damaged[draw.integers(len(raw))] ^= int(draw.integers(1, 256))
        (tmp_path / "x.npz").write_bytes(bytes(damaged))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile's and NumPy's about what they read
                read_npz(tmp_path / "x.npz", complete=False)
        except UserError as error:
            assert "\n" not in str(error)


# NAS-Bench-Macro


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1" * 5000, "truncated or not JSON"),
        ('{"22212220": {"std": ' + "1" * 5000 + "}}", "truncated or not JSON"),
        ('{"a":' * 100_000, "truncated or not JSON"),
        ("\ufeff{}", "truncated or not JSON"),
        (json.dumps({"2\n\x1b[2J": {}}), r"1 architectures are not in the space: '2\n\x1b[2J"),
        (json.dumps({"\ud800": {}}), "1 architectures are not in the space"),
        *(
            (json.dumps({"22212220": entry("22212220") | {key: value}}), "holds what is no number")
            for key in ("params", "flops", "mean_acc", "std")
            for value in (10**400, float("inf"), float("-inf"), "90", True, None, [], {})
        ),
        (json.dumps({"22212220": entry("22212220") | {"test_acc": [90, "91", 92]}}), "holds what is no number"),
        (json.dumps({"22212220": entry("22212220") | {"test_acc": [90, [], 92]}}), "holds what is no number"),
        (json.dumps({"22212220": entry("22212220") | {"test_acc": {"a": 1, "b": 2, "c": 3}}}), "has not three"),
    ],
    ids=range(41),
)
def test_macro_documents(tmp_path, text, said):
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    assert said in refused(read_macro, tmp_path / "x.json", benchmarks.space_of("macro").archs, complete=False)


def test_a_huge_document_is_not_read(tmp_path):
    path = tmp_path / "x.json"
    path.touch()
    os.truncate(path, foreign.JSON_MOST + 1)  # takes no room on the disk
    assert "134,217,729 bytes, too many for nas-bench-macro" in refused(read_macro, path, ("22212220",))


# Our own tables


@pytest.fixture
def table(tmp_path) -> Path:
    ones = np.ones((2, 1, 2, 2))
    whole = Table("201", "cifar10", ("a", "b"), ("test",), (1, 2), ("0", "1"), ones, "s", "c", {"x": 1}, ones[:, 0])
    save_tables(tmp_path / "t.h5", [whole])
    return tmp_path / "t.h5"


@pytest.mark.parametrize("name", ["splits", "epochs", "seeds", "attributes"])
@pytest.mark.parametrize(
    "value", ["5", "null", "{", '{"a": [1]}', "[[1]]", '["a", "b", "c"]', "1" * 5000, "[" * 9999, 5]
)
def test_labels_of_a_table(table, name, value):
    with h5py.File(table, "a") as file:
        file["datasets/cifar10"].attrs[name] = value
    assert "t.h5: truncated or not an accuracy table" in refused(load_table, table, "cifar10")


@pytest.mark.parametrize("name", ["arch", "accuracy", "seconds_per_run"])
def test_arrays_of_a_table(table, name):
    big = {"shape": (10**7, 10**6, 10**4), "dtype": "f8", "chunks": (1000, 1000, 1)}
    records = np.zeros(2, dtype=[("a", "f8"), ("b", "S3")])
    for make in (
        lambda group: group.create_dataset(name, data=5),
        lambda group: group.create_dataset(name, data="text"),
        lambda group: group.create_group(name),
        lambda group: group.create_dataset(name, **big),
        lambda group: group.create_dataset(name, data=records),
        lambda group: group.create_dataset(name, data=np.array([b"\xff\xfe", b"b"])),
        lambda group: group.create_dataset(name, data=np.ones(3)),
        lambda group: group.__setitem__(name, h5py.SoftLink("/nowhere")),
        lambda group: group.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/x")),
    ):
        with h5py.File(table, "a") as file:
            del file["datasets/cifar10"][name]
            make(file["datasets/cifar10"])
        if name == "seconds_per_run":
            with h5py.File(table) as file:
                if name not in file["datasets/cifar10"]:  # a link that leads nowhere is as good as none
                    continue
        assert "t.h5: truncated or not an accuracy table" in refused(load_table, table, "cifar10")


@pytest.mark.parametrize("value", ["x", 1.5, -1, True])
def test_sizes_of_networks_that_cannot_be(tmp_path, value):
    archs = benchmarks.space_of("201").archs[:2]
    attributes = {"channels": value, "note": "x"}
    whole = Table("201", "cifar10", archs, ("test",), (1,), ("0",), np.ones((2, 1, 1, 1)), "s", "c", attributes)
    save_tables(tmp_path / "nasbench201.h5", [whole])
    said = refused(benchmarks.load, "201", data=tmp_path)
    assert f"sizes of its networks that are no whole numbers above 0: channels {value!r}" in said


@pytest.mark.parametrize("at", ["schema", "schema_version"])
@pytest.mark.parametrize("value", ["x", np.ones(3), 1.5e300])
def test_the_head_of_a_table(table, at, value):
    with h5py.File(table, "a") as file:
        file.attrs[at] = value
    refused(load_table, table, "cifar10")
    refused(list_datasets, table)


def packed_zeros(megabytes: int) -> bytes:
    """A zlib stream of zeros: one block again and again, its checksum never reached."""
    packer = zlib.compressobj(9)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    head, again = block[:2], packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block[2:] + again * megabytes


def bombs(file, name: str, kind: str) -> None:
    """Put an array into a file that is small there and large, or elsewhere, when it is read."""
    if kind == "fill":
        file.create_dataset(name, (10**9,), "f8", chunks=(1000,))
    elif kind == "chunk":
        file.create_dataset(name, (2,), "f8", chunks=(10**9,), maxshape=(None,))
    elif kind == "packed":
        made = file.create_dataset(name, (1000,), "f8", chunks=(1000,), compression="gzip")
        made.id.write_direct_chunk((0,), packed_zeros(1200))
    elif kind == "external":
        file.create_dataset(name, (10,), "u1", external=[("/etc/passwd", 0, 10)])
    else:
        layout = h5py.VirtualLayout((10,), "u1")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
        file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("fill", "claims the shape"), ("chunk", "comes in chunks of"), ("packed", "truncated or not an accuracy table"),
        ("external", "lies in another file"), ("virtual", "lies in another file"),
    ],
)  # fmt: skip
def test_a_table_that_fills_the_memory_is_not_read(table, kind, said):
    with h5py.File(table, "a") as file:
        del file["datasets/cifar10/accuracy"]
        bombs(file, "datasets/cifar10/accuracy", kind)
    assert table.stat().st_size < 2_000_000
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert said in refused(load_table, table, "cifar10")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # kB, of all children of this process so far
    assert largest == before or largest < 1 << 20


def test_a_library_that_crashes_or_hangs_does_not_take_the_program_along(table, monkeypatch):
    answers = iter(("import os, sys; sys.stdin.readline(); os._exit(1)", "import sys; input(); print('\"\"')"))

    def start() -> subprocess.Popen:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        return subprocess.Popen([sys.executable, "-c", next(answers)], **pipes)

    reader = foreign.Reader()
    monkeypatch.setattr(reader, "_start", start)
    monkeypatch.setattr(foreign, "READER", reader)
    with h5py.File(table, "a") as file:
        file.attrs["new"] = 1  # it has to be checked again
    assert "does not come to an end with it, or crashes; convert" in refused(load_table, table, "cifar10").replace(
        ")", ""
    )
    os.utime(table)
    assert len(load_table(table, "cifar10")) == 2  # by another process


def test_what_stands_where_datasets_should(table):
    with h5py.File(table, "a") as file:
        del file["datasets"]
        file["datasets"] = np.ones(3)
    for read in (list_datasets, lambda path: load_table(path, "cifar10")):
        assert "an HDF5 file, but not an accuracy table" in refused(read, table)


def test_random_damage_of_a_table(table):
    raw, draw = table.read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(raw)
        for at in draw.integers(len(raw), size=4):
            damaged[at] = draw.integers(256)
        table.write_bytes(bytes(damaged))
        try:
            load_table(table, "cifar10")
        except UserError as error:
            assert "\n" not in str(error)


# CSV, and what else may lie in a folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arch,c_test_" + "1" * 5000 + "\nx,5\n", "no accuracy column"),
        ('arch,"a\nb_testy_1"\nx,1\n', "found: arch, a"),
        ('arch,c_test_1\n"x\n\x1b[2J",1\n', r"'x\n\x1b[2J' (entry 1)"),
        ("arch,c_test_1\nx,9e999\n", "no accuracy in 0..100"),
        ('arch,c_test_1\n"' + "x" * 200_000, "not a CSV text file"),
    ],
)
def test_csv(tmp_path, text, said):
    (tmp_path / "x.csv").write_text(text)
    assert said in refused(read_csv, tmp_path / "x.csv", "201", ("y",), complete=False)


def test_links_and_pipes(tmp_path, capsys):
    path = tmp_path / "nasbench_only108.tfrecord"
    path.symlink_to(tmp_path / "nowhere")
    (tmp_path / "NATS-tss-v1_0-3ffb9-simple").symlink_to(tmp_path / "NATS-tss-v1_0-3ffb9-simple")
    os.mkfifo(tmp_path / "nas-bench-macro_cifar10.json")  # to open it would wait for ever
    assert overview.main(["--data", str(tmp_path)]) == 0
    assert "there, " not in capsys.readouterr().out.replace("there: ", "")
    for name in ("101", "201", "macro"):
        assert benchmark.find_table(name, tmp_path) is None
    for each in sorted(tmp_path.iterdir()):
        assert "no such file" in refused(recognise.recognise, each)


def test_a_table_of_another_thing_is_not_opened_by_the_overview(tmp_path, capsys):
    (tmp_path / "nasbench201.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + struct.pack("<Q", 1 << 60))
    assert overview.main(["--data", str(tmp_path)]) == 0
    assert "there, but" in capsys.readouterr().out
