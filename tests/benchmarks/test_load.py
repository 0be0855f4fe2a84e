"""`benchmarks.load`: which dataset of a file is opened."""

from pathlib import Path

import pytest
from tiny import tiny_table

import benchmarks
from benchmarks import UserError
from benchmarks.table import save_tables


@pytest.fixture(params=["h5", "csv"])
def folder(request: pytest.FixtureRequest, tmp_path: Path):
    """A function that writes datasets to a table file of either kind in a data folder; returns the folder."""

    def write(*datasets: str) -> Path:
        if request.param == "h5":
            save_tables(tmp_path / "nasbench201.h5", [tiny_table(dataset=name) for name in datasets])
        else:
            head = ",".join(f"{name}_test_12_seed0" for name in datasets)
            rows = (f"{arch}{',50' * len(datasets)}" for arch in benchmarks.space_of("201").archs)
            (tmp_path / "nasbench201.csv").write_text("\n".join([f"arch,{head}", *rows]))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("datasets", "opened"),
    [(("mine",), "mine"), (("a", "cifar100"), "cifar100"), (("cifar100", "cifar10"), "cifar10")],
)
def test_without_a_name_the_dataset_is_one_that_is_there(folder, datasets: tuple[str, ...], opened: str):
    assert benchmarks.load("201", data=folder(*datasets)).table.dataset == opened


def test_a_name_that_is_not_there_is_refused(folder):
    with pytest.raises(UserError, match=r"'cifar10'.*mine"):
        benchmarks.load("201", "cifar10", folder("mine"))


def test_a_folder_that_is_named_and_has_nothing_usable_is_an_error(tmp_path):
    """Not the embedded digits without a word; they are there by name, and where no folder is named."""
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"no ground truth of benchmark 101 found.*or name --dataset digits"):
        benchmarks.load("101", data=tmp_path)
    assert benchmarks.load("101", "digits", tmp_path).embedded


def test_without_an_embedded_table_none_is_offered(tmp_path):
    for dataset in (None, "digits", "cifar10"):
        with pytest.raises(UserError, match="MobileNet-like has no embedded table$"):
            benchmarks.load("mobilenet", dataset, tmp_path)
