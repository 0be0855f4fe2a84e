"""Table: checks, reductions, HDF5 form; and the CSV import."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from benchmarks.benchmark import space_of
from benchmarks.errors import UserError
from benchmarks.files.write import atomic_path, write_text
from benchmarks.readers.csv_table import dataset_key, read_csv
from benchmarks.table import Table, list_datasets, load_table, save_tables

ACCURACY = np.array(  # (2 archs, 1 split, 2 budgets, seeds mean, 777, 888)
    [[[[11.0, 10.0, np.nan], [np.nan, 40.0, 50.0]]], [[[21.0, 20.0, 22.0], [70.5, 60.0, 61.0]]]]
)


def make(**changed) -> Table:
    facts = {
        "benchmark": "201",
        "dataset": "cifar10",
        "archs": ("a", "b"),
        "splits": ("test",),
        "epochs": (12, 200),
        "seeds": ("mean", "777", "888"),
        "accuracy": ACCURACY,
        "source": "made here",
        "checksum": "0" * 64,
    }
    return Table(**{**facts, **changed})


def test_target_takes_the_published_mean_and_otherwise_the_mean_over_trials():
    np.testing.assert_allclose(make().target(), [45.0, 70.5])
    np.testing.assert_allclose(make().target(epochs=12), [11.0, 21.0])
    without = make(seeds=("777", "888"), accuracy=ACCURACY[..., 1:])
    np.testing.assert_allclose(without.target(), [45.0, 60.5])
    np.testing.assert_allclose(without.target(epochs=12), [10.0, 21.0])


def test_target_of_one_seed_some_seeds_and_the_best():
    np.testing.assert_allclose(make().target(reduction="888"), [50.0, 61.0])
    np.testing.assert_allclose(make().target(epochs=12, reduction="888"), [np.nan, 22.0])
    np.testing.assert_allclose(make().target(seeds=("777",)), [40.0, 60.0])
    np.testing.assert_allclose(make().target(reduction="max"), [50.0, 61.0])
    np.testing.assert_allclose(make().target(epochs=12, reduction="max"), [10.0, 22.0])


def test_per_seed_has_no_published_mean_and_keeps_gaps():
    np.testing.assert_allclose(make().per_seed("test", 12), [[10.0, np.nan], [20.0, 22.0]])
    means_only = make(seeds=("mean",), accuracy=ACCURACY[..., :1])
    assert means_only.per_seed().shape == (2, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"split": "tset"}, "unknown split of 'cifar10': 'tset' (did you mean test?)"),
        ({"epochs": 108}, "after 108 epochs; the table has: 12, 200"),
        ({"reduction": "median"}, "unknown reduction over seeds: 'median'"),
        ({"seeds": ("778",)}, "unknown seed: '778' (did you mean 777"),
        ({"seeds": ()}, "valid: 777, 888"),
    ],
)
def test_target_says_what_the_table_has(arguments, said):
    with pytest.raises(UserError) as error:
        make().target(**arguments)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"archs": ("a", "a")}, "1 archs occur more than once: a"),
        ({"seeds": ("777", "777", "888")}, "1 seeds occur more than once"),
        ({"archs": ("a", "b", "c")}, "has the shape (2, 1, 2, 3); its labels say (3, 1, 2, 3)"),
        ({"accuracy": ACCURACY + 50}, "3 accuracies outside 0..100 percent: b test 200 epochs seed mean = 120.5"),
        ({"accuracy": ACCURACY - 11}, "1 accuracies outside 0..100 percent: a test 12 epochs seed 777 = -1"),
        ({"accuracy": np.where(ACCURACY == 61, np.inf, ACCURACY)}, "outside 0..100"),
        ({"seconds_per_run": np.zeros((2, 2))}, "seconds_per_run of 'cifar10' has the shape (2, 2)"),
        ({"seconds_per_run": np.full((2, 2, 3), -1.0)}, "negative training times"),
    ],
)
def test_constructor_refuses_what_cannot_be(changed, said):
    with pytest.raises(UserError) as error:
        make(**changed)
    assert said in str(error.value)


def test_max_needs_single_trials():
    with pytest.raises(UserError, match="no single trials"):
        make(seeds=("mean",), accuracy=ACCURACY[..., :1]).target(reduction="max")


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        make().accuracy[0] = 0


def test_file_gives_back_every_fact(tmp_path):
    seconds = np.array([[[1.5, np.nan, 2.0]] * 2] * 2)
    tables = [make(attributes={"channels": 16, "note": "x"}, seconds_per_run=seconds), make(dataset="cifar100")]
    save_tables(tmp_path / "new" / "t.h5", tables)
    assert list_datasets(tmp_path / "new" / "t.h5") == ("cifar10", "cifar100")
    for table in tables:
        again = load_table(tmp_path / "new" / "t.h5", table.dataset)
        for name in ("benchmark", "dataset", "archs", "splits", "epochs", "seeds", "source", "checksum", "attributes"):
            assert getattr(again, name) == getattr(table, name), name
        np.testing.assert_array_equal(again.accuracy, table.accuracy)
    np.testing.assert_array_equal(load_table(tmp_path / "new" / "t.h5", "cifar10").seconds_per_run, seconds)
    assert load_table(tmp_path / "new" / "t.h5", "cifar100").seconds_per_run is None


def test_bad_table_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "t.h5"
    save_tables(path, [make()])
    with pytest.raises(UserError, match=r"unknown dataset of .*: 'cifar11' \(did you mean cifar10\?\)"):
        load_table(path, "cifar11")
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="truncated or not an accuracy table"):
        load_table(tmp_path / "cut.h5", "cifar10")
    with pytest.raises(UserError, match="no such file"):
        list_datasets(tmp_path / "none.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(UserError, match="an HDF5 file, but not an accuracy table"):
        list_datasets(tmp_path / "other.h5")
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(UserError, match="table form 99; this version reads up to 1"):
        list_datasets(path)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "t.h5"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, seen, sync = tmp_path / "t.txt", [], os.fsync

    def watch(handle):
        seen.append((stat.S_ISDIR(os.fstat(handle).st_mode), path.exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    assert write_text(path, "new").read_text() == "new"
    assert seen == [(False, False), (True, True)]  # the file, then the folder
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


# --- CSV ---------------------------------------------------------------------------------------------------------


def write(folder: Path, text: str) -> Path:
    path = folder / "own.csv"
    path.write_text(text)
    return path


def test_csv_columns_of_all_forms(tmp_path):
    text = (
        "index,arch,cifar10_test_200,cifar10_test_200_per_seed,ImageNet16-120_valid_12_seed777,my_data_test_5,note\n"
        "1,b,90.5,90;91,,12,x\n0,a,80,80.5,33.25,nan,y\n"
    )
    tables = {table.dataset: table for table in read_csv(write(tmp_path, text), expected=("a", "b"))}
    assert list(tables) == ["cifar10", "imagenet16-120", "my_data"]
    assert all(table.archs == ("a", "b") for table in tables.values())
    assert tables["cifar10"].seeds == ("mean", "1", "2")
    np.testing.assert_allclose(tables["cifar10"].target(), [80.0, 90.5])
    np.testing.assert_allclose(tables["cifar10"].per_seed(), [[80.5, np.nan], [90.0, 91.0]])
    assert tables["imagenet16-120"].seeds == ("777",)
    np.testing.assert_allclose(tables["imagenet16-120"].target("valid"), [33.25, np.nan])
    np.testing.assert_allclose(tables["my_data"].target(), [np.nan, 12.0])


def test_csv_without_a_space_keeps_the_order_of_rows(tmp_path):
    (table,) = read_csv(write(tmp_path, "arch,x_test_1\nb,2\na,1\n"))
    assert table.archs == ("b", "a")


def test_csv_need_not_be_complete(tmp_path):
    (table,) = read_csv(write(tmp_path, "arch,x_test_1\nc,3\na,1\n"), expected=("a", "b", "c"), complete=False)
    assert table.archs == ("a", "c")
    np.testing.assert_allclose(table.target(), [1.0, 3.0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arch,x_test_1\na,1\nc,3\n", "1 of 3 architectures are missing: b"),
        ("arch,x_test_1\na,1\na,1\nb,1\nc,3\n", "1 architectures occur more than once: a"),
        ("arch,x_test_1\na,1\nb,1\nc,3\nd,1\n", "1 architectures are not in the space: 'd' (entry 4)"),
        ("arch,x_test_1\na,1\nb,101\nc,-3\n", "2 cells of x_test_1 are no accuracy in 0..100 percent: row 2 b '101'"),
        ("arch,x_test_1\na,1\nb,inf\nc,hello\n", "2 cells of x_test_1"),
        ("arch,x_test_1_per_seed\na,1;2\nb,1;;x\nc,3\n", "row 2 b 'x'"),
        ("arch,x_test_1\na,1\nb,1\nc\n", "2 columns expected, but line 4 has 1; decimal commas, or a file"),
        ("arch;x_test_1\na;90,5\nb;1;2\nc;1\n", "2 columns expected, but line 3 has 3; decimal commas"),
        ("index,x_test_1\n0,1\n3,2\nx,3\n", "indices that are not 0 to 2 in 2 rows: row 2, row 3"),
        ("x_test_1\n1\n2\n", "no column 'arch' or 'index', found: x_test_1; without one, 3 rows in the order"),
        ("arch,x_test_1\na,0.9\nb,0.5\nc,0\n", "x_test_1 has 0.5 to 0.9 as fractions; if they are fractions, convert"),
        ("arch,x_test_1\na,0.2\nb,90\nc,91\n", "fractions and percent are mixed (x_test_1 0.2 to 91)"),
        ("arch,x_test_1,y_test_1\na,0.9,90\nb,0.5,95\nc,0,90\n", "fractions and percent are mixed (x_test_1 0.5 to"),
        ("arch,x_test_1\n", "a header and no rows"),
        ("", "an empty file"),
        ("name,x_test_1\nx,1\ny,2\nz,3\n", "no column 'arch'"),
        ("arch,x_test\na,1\n", "no accuracy column"),
        ("arch,x_tset_1\na,1\n", "unknown split in the column names: 'tset' (did you mean test"),
        ("arch,x_test_1,x_test_1\na,1,1\n", "columns that occur more than once: x_test_1"),
        ("arch,cifar10_test_1,CIFAR10_test_1\na,1,1\nb,1,1\nc,1,1\n", "gives seed 'mean' a second time"),
        (
            "index,arch,x_test_1\n0,a,1\n2,b,1\n1,c,1\n",
            "the index column disagrees with the space in 2 rows: row 2 says 2",
        ),
    ],
)
def test_csv_says_what_is_wrong(tmp_path, text, said):
    with pytest.raises(UserError) as error:
        read_csv(write(tmp_path, text), expected=("a", "b", "c"))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "arch;x_test_1\nb;2.5\na;1.5\n", "arch\tx_test_1\nb\t2.5\na\t1.5\n", "\ufeffarch,x_test_1\nb,2.5\na,1.5\n",
        "arch_str,x_test_1\nb,2.5\na,1.5\n", "Architecture;x_test_1\nb;2.5\na;1.5\n", "idx,x_test_1\n1,2.5\n0,1.5\n",
        "arch_index,x_test_1\n1.0,2.5\n0.0,1.5\n", ",x_test_1\n1,2.5\n0,1.5\n", "Unnamed: 0,x_test_1\n1,2.5\n0,1.5\n",
        "network,x_test_1,note\nb,2.5,x\na,1.5,y\n",
        ",arch,x_test_1\n0,b,2.5\n1,a,1.5\n", "x_test_1\n1.5\n2.5\n", "arch,index,x_test_1\nb,1.0,2.5\na,0.0,1.5\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_csv_as_others_write_it(tmp_path, text, encoding):
    (tmp_path / "own.csv").write_bytes(text.encode(encoding))
    (table,) = read_csv(tmp_path / "own.csv", expected=("a", "b"))
    assert table.archs == ("a", "b") and table.target().tolist() == [1.5, 2.5]


def test_fractions_become_percent_on_request(tmp_path):
    path = write(tmp_path, "arch,x_test_1\na,0.9\nb,0.5\n")
    (table,) = read_csv(path, expected=("a", "b"), fractions=True)
    assert table.target().tolist() == [90.0, 50.0]
    with pytest.raises(UserError, match="--fractions: accuracies from 0 to 1 expected, but x_test_1 has 50 to 90"):
        read_csv(write(tmp_path, "arch,x_test_1\na,90\nb,50\n"), expected=("a", "b"), fractions=True)


def test_low_accuracies_in_percent_are_no_fractions(tmp_path):
    """ImageNet16-120 by chance is 0.83 %; far below chance, a number is a fraction."""
    rows = [f"{i},{0.8333 if i < 3 else 30 + i}\n" for i in range(40)]
    archs, classes = tuple(map(str, range(40))), {"imagenet16-120": 120}
    (table,) = read_csv(write(tmp_path, "arch,imagenet16_120_test_200\n" + "".join(rows)), "201", archs)
    assert table.target()[0] == 0.8333
    few = write(tmp_path, "arch,cifar10_test_200\n" + "".join(rows))
    with pytest.raises(UserError, match="mixed"):
        read_csv(few, "201", archs, classes={"cifar10": 10})
    rows[3:6] = [f"{i},0.35\n" for i in range(3, 6)]
    with pytest.raises(UserError, match="mixed"):
        read_csv(write(tmp_path, "arch,imagenet16_120_test_200\n" + "".join(rows)), "201", archs, classes=classes)


def test_csv_names_all_problems_at_once(tmp_path):
    with pytest.raises(UserError) as error:
        read_csv(write(tmp_path, "arch,x_test_1\na,500\na,1\nd,1\n"), expected=("a", "b", "c"))
    for said in ("more than once", "not in the space", "2 of 3 architectures are missing: b, c", "1 cells of x_test_1"):
        assert said in str(error.value)


def test_csv_of_another_kind(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(UserError, match="not a CSV text file"):
        read_csv(tmp_path / "x.csv")
    with pytest.raises(UserError, match="no such file"):
        read_csv(tmp_path / "none.csv")


def test_dataset_spellings():
    assert dataset_key("ImageNet16-120") == dataset_key("imagenet16_120") == "imagenet16-120"
    assert dataset_key("CIFAR10_valid") == "cifar10-valid"
    assert dataset_key("My_Data") == "My_Data"


def test_the_published_accuracies(real_data):
    path = real_data / "nasbench201.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    space = space_of("201").archs
    tables = {table.dataset: table for table in read_csv(path, expected=space)}
    best = {"cifar10": (94.3733, 6111), "cifar100": (73.5133, 9930), "imagenet16-120": (47.3111, 857)}
    assert tables.keys() == best.keys()
    for dataset, (accuracy, index) in best.items():
        target = tables[dataset].target()
        assert tables[dataset].archs == space
        assert len(target) == 15_625
        assert target.max() == pytest.approx(accuracy, abs=1e-4)
        assert target.argmax() == index
        assert tables[dataset].epochs == (12, 200)
    counts = np.isfinite(tables["cifar10"].per_seed()).sum(axis=1)
    assert np.bincount(counts).tolist() == [0, 2_225, 5_439, 7_961]
