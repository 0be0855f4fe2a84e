"""`python -m benchmarks.convert`, `python -m benchmarks` and where tables are looked for."""

import csv
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as overview
from benchmarks import benchmark, convert, download
from benchmarks.benchmark import space_of
from benchmarks.errors import UserError
from benchmarks.files import sources
from benchmarks.table import list_datasets, load_table

ROOT = Path(__file__).resolve().parents[2]


def write_csv(path: Path, n: int = 15_625) -> Path:
    """Write ground truth of the first n architectures: accuracy is the index modulo 97."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "cifar10_test_200_seed777", "cifar100_test_200"])
        writer.writerows([arch, i % 97, i % 89] for i, arch in enumerate(space_of("201").archs[:n]))
    return path


def test_a_csv_becomes_a_table(tmp_path, capsys):
    path = write_csv(tmp_path / "mine.csv")
    assert convert.main([str(path), "--quiet"]) == 0
    out = tmp_path / "nasbench201.h5"
    said = capsys.readouterr().out
    assert f"wrote {out}" in said
    assert "15,625 architectures" in said
    assert f"python -m harness.run --bench 201 --data {tmp_path}" in said
    assert list_datasets(out) == ("cifar10", "cifar100")
    np.testing.assert_array_equal(load_table(out, "cifar10").target(), np.arange(15_625) % 97)


def test_an_official_file_becomes_a_table(tmp_path, capsys):
    package = pytest.importorskip("nas_201_api.api_utils")
    from official_files import document, write_pth

    archs = space_of("201").archs[:4]
    path = write_pth(tmp_path / "NAS-Bench-201-v1_1-096897.pth", document(package, archs))
    out = tmp_path / "new" / "nasbench201.h5"
    assert convert.main([str(path), "--out", str(out)]) == 2
    assert "15621 of 15625 architectures are missing" in capsys.readouterr().err
    assert not out.exists()
    assert convert.main([str(path), "--out", str(out), "--partial"]) == 0
    assert list_datasets(out) == ("cifar10", "cifar10-valid", "cifar100", "imagenet16-120")
    assert load_table(out, "cifar10").archs == archs


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.bin", b"\x01\x00\x02", "not a known kind of file"),
        (
            "x.json",
            b'{"a": 1}',
            "a JSON file, which is no form of NAS-Bench-201; this version converts NAS-Bench-201-v1_0",
        ),
        ("x.h5", b"\x89HDF\r\n\x1a\n....", "an HDF5 file already"),
        ("x.tar", b"\0" * 257 + b"ustar" + b"\0" * 250, "a tar archive; unpack it first"),
        ("x.pth", b"", "an empty file"),
        ("x.pth", b"\n<!DOCTYPE html><html><title>Virus scan warning</title></html>", "a web page, not the file it"),
        ("x.pth", b"PK\x03\x04 and nothing more", "truncated or not a file of torch.save (BadZipFile"),
        ("x.pth", pickle.dumps({"a": 1}), "not a NAS-Bench-201 or NATS-Bench file"),
        ("x.pbz2", b"BZh9 and nothing more", "truncated or not a pickle"),
        ("x.csv", b"hello\n", "no accuracy column; expected names like cifar10_test_200, found: hello"),
        ("x.csv", b"arch,cifar10_test_200\n|none~0|,50\n", "1 architectures are not in the space"),
    ],
)
def test_bad_files_exit_2_with_one_line_and_leave_nothing(tmp_path, capsys, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert convert.main([str(tmp_path / name), "--quiet"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("command", [convert, download, overview])
def test_a_wrong_option_is_one_line(command, capsys):
    with pytest.raises(SystemExit) as end:
        command.main([*["x.csv"] * (command is convert), "--qiet"])
    printed = capsys.readouterr().err
    assert end.value.code == 2 and printed.count("\n") == 1 and printed.startswith("nas-harness data")
    assert ("did you mean --quiet?" in printed) == (command is not overview)


def test_bad_arguments(tmp_path, capsys):
    path = write_csv(tmp_path / "mine.csv", 3)
    (tmp_path / "there.h5").write_text("old")
    for arguments, said in (
        ([str(tmp_path / "none.pth")], "no such file"),
        ([str(tmp_path)], "a folder without meta.pickle.pbz2"),
        ([str(path), "--bench", "210"], "unknown benchmark: '210' (did you mean 201"),
        ([str(path), "--out", str(tmp_path)], "is a folder; name the file"),
        ([str(path), "--out", str(tmp_path / "there.h5")], "is there already; give --replace"),
        ([str(path), "--out", str(path / "x.h5")], "cannot write to"),
        ([str(path)], "15622 of 15625 architectures are missing"),
    ):
        assert convert.main([*arguments, "--quiet"]) == 2
        assert said in capsys.readouterr().err
    assert (tmp_path / "there.h5").read_text() == "old"
    assert convert.main([str(path), "--out", str(tmp_path / "there.h5"), "--replace", "--partial", "--quiet"]) == 0
    assert len(load_table(tmp_path / "there.h5", "cifar10")) == 3


def test_a_folder_marked_read_only_is_left_alone_even_by_root(tmp_path, capsys):
    path = write_csv(tmp_path / "mine.csv", 3)
    tmp_path.chmod(0o555)
    try:
        assert convert.main([str(path), "--partial", "--quiet"]) == 2
    finally:
        tmp_path.chmod(0o755)
    assert "read-only" in capsys.readouterr().err or os.geteuid() != 0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(KeyboardInterrupt(), 130, "stopped; nothing was written"), (OSError(28, "No space left"), 2, "No space left")],
)
def test_interrupted_or_full_leaves_nothing(tmp_path, capsys, monkeypatch, error, code, said):
    import h5py

    path = write_csv(tmp_path / "mine.csv", 3)
    create, made = h5py.Group.create_dataset, []

    def fail_at_the_third(group, name, **given):
        made.append(name)
        if len(made) == 3:
            raise error
        return create(group, name, **given)

    monkeypatch.setattr(h5py.Group, "create_dataset", fail_at_the_third)
    assert convert.main([str(path), "--partial", "--quiet"]) == code
    assert said in capsys.readouterr().err
    assert len(made) == 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("module", ["benchmarks.convert", "benchmarks.download", "benchmarks"])
def test_help_imports_nothing_heavy(module):
    code = (
        f"import sys, runpy; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module('{module}', run_name='__main__')\n"
        f"except SystemExit as end: assert not end.code\n"
        f"heavy = {{'torch', 'scipy', 'pandas', 'matplotlib', 'h5py'}} & set(sys.modules)\n"
        f"assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(sources.VARIABLE, raising=False)
    assert sources.data_folder() is None
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path))
    assert sources.data_folder() == tmp_path
    (tmp_path / "other").mkdir()
    assert sources.data_folder(str(tmp_path / "other")) == tmp_path / "other"
    with pytest.raises(UserError, match=r"no folder '.*nowhere' \(named by --data\)"):
        sources.data_folder(str(tmp_path / "nowhere"))
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(UserError, match="named by the environment variable NAS_HARNESS_DATA"):
        sources.data_folder()


def test_find_table_prefers_the_table_then_the_csv_then_says_what_to_convert(tmp_path):
    assert benchmark.find_table("201", None) is None
    assert benchmark.find_table("201", tmp_path) is None
    (tmp_path / "NATS-tss-v1_0-3ffb9-simple").mkdir()
    with pytest.raises(UserError, match=r"python -m benchmarks.convert .*NATS-tss-v1_0-3ffb9-simple"):
        benchmark.find_table("201", tmp_path)
    (tmp_path / "nasbench201.csv").touch()
    assert benchmark.find_table("201", tmp_path) == tmp_path / "nasbench201.csv"
    (tmp_path / "nasbench201.h5").touch()
    assert benchmark.find_table("201", tmp_path) == tmp_path / "nasbench201.h5"


def test_what_to_get_names_place_file_size_and_page(tmp_path):
    said = benchmark.what_to_get("201", tmp_path)
    for part in (str(tmp_path), "NAS-Bench-201-v1_1-*.pth (4.7 GB, https://github.com/D-X-Y/NAS-Bench-201)"):
        assert part in said
    assert "NAS_HARNESS_DATA" in benchmark.what_to_get("101", None)


def test_overview_shows_what_is_there_and_missing(tmp_path, capsys):
    (tmp_path / "nas-bench-macro_cifar10.json").write_bytes(b"x" * 2000)
    (tmp_path / "NAS-Bench-201-v1_1-096897.pth").write_bytes(b"x" * 3000)
    assert overview.main(["--data", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("nas-bench-macro_cifar10.json" in line and "there, 2 kB" in line for line in lines)
    assert any("v1_1" in line and "convert once: python -m benchmarks.convert" in line for line in lines)
    assert any("nasbench_full.tfrecord" in line and "missing, 1.95 GB" in line for line in lines)
    cifar = next(line for line in lines if "cifar-10-batches-py/" in line)
    assert "186 MB, md5 c58f30108f718f92721af3b95e74349a; nas-harness data get images" in cifar
    at = lines.index("NAS-Bench-201 (--bench 201)")
    assert "(embedded)" in lines[at + 1] and "there: 1,024 networks (1,498 strings) x 3 seeds" in lines[at + 1]
    assert sum("by the ground truth of benchmark 101" in line for line in lines) == 9
    assert overview.main(["--data", str(tmp_path / "nowhere")]) == 2
    assert "no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, bench",
    [("nasbench101_part.npz", "101"), ("nasbench1shot1-1.csv", "1shot1-1"), ("nasbench_only108.tfrecord", "101"),
     ("nas-bench-macro_cifar10.json", "macro"), ("mine.csv", "201")],
)  # fmt: skip
def test_the_name_of_a_file_says_the_benchmark(name, bench):
    assert convert._bench_of(Path(name)) == bench
