"""Our readers of the official files against the official packages, reading the same files."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from official_files import DATASETS, SEEDS, document, write_nats_folder, write_pth

import benchmarks
from benchmarks.benchmark import space_of
from benchmarks.errors import UserError
from benchmarks.nasbench201.files import read_official, thin
from benchmarks.table import Table

nas_201_api = pytest.importorskip("nas_201_api")
nats_bench = pytest.importorskip("nats_bench")
package_201 = pytest.importorskip("nas_201_api.api_utils")
package_nats = pytest.importorskip("nats_bench.api_utils")

N = 5
NATS_BUDGETS = {"12": 12, "200": 200}
KINDS = ("pth-v1_1", "pth-v1_1-zip", "pth-v1_0", "nats", "nats-folder")
KEYS = {
    "cifar10-valid": "cifar10-valid",
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "ImageNet16-120": "imagenet16-120",
}


@pytest.fixture(scope="module")
def archs() -> tuple[str, ...]:
    return space_of("201").archs[:N]


@pytest.fixture(scope="module")
def written(tmp_path_factory, archs):
    """Return kind -> (path, the official package's view of that very file)."""
    folder = tmp_path_factory.mktemp("official")
    v1_1, v1_0 = document(package_201, archs), document(package_201, archs, release="v1_0")
    nats = document(package_nats, archs, NATS_BUDGETS)
    package_nats.pickle_save(nats, str(folder / "NATS-tss-v1_0-3ffb9.pickle"))
    paths = {
        "pth-v1_1": write_pth(folder / "NAS-Bench-201-v1_1-096897.pth", v1_1),
        "pth-v1_1-zip": write_pth(folder / "again.pth", v1_1, legacy=False),
        "pth-v1_0": write_pth(folder / "NAS-Bench-201-v1_0-e61699.pth", v1_0),
        "nats": folder / "NATS-tss-v1_0-3ffb9.pickle.pbz2",
        "nats-folder": write_nats_folder(folder / "NATS-tss-v1_0-3ffb9-simple", nats, package_nats.pickle_save),
    }
    return {kind: (path, official_api(kind, path)) for kind, path in paths.items()}


def official_api(kind: str, path: Path):
    if kind.startswith("pth"):
        return nas_201_api.NASBench201API(torch.load(path, weights_only=False), verbose=False)
    return nats_bench.create(str(path), "tss", fast_mode=kind == "nats-folder", verbose=False)


@pytest.fixture(scope="module", params=KINDS)
def pair(request, written, archs):
    """Return (our tables by dataset, the package's object, the kind) for each kind of file."""
    path, api = written[request.param]
    return {table.dataset: table for table in read_official(path, expected=archs)}, api, request.param


def test_an_object_of_the_package_gives_the_tables_of_its_file(pair):
    """In memory, to the bit, and the object is left as it was."""
    tables, api, _ = pair
    for dataset, read in tables.items():
        made = benchmarks.from_api(api, dataset)
        labels = ("benchmark", "dataset", "archs", "splits", "epochs", "seeds")
        assert [getattr(made, name) for name in labels] == [getattr(read, name) for name in labels]
        np.testing.assert_array_equal(made.accuracy, read.accuracy)
        assert (made.seconds_per_run is None) == (read.seconds_per_run is None)
        if read.seconds_per_run is not None:
            np.testing.assert_allclose(made.seconds_per_run, read.seconds_per_run)
        assert benchmarks.from_api(api, dataset).checksum == made.checksum


def official(api, index: int, dataset: str, epochs: int, split: str, seed) -> float:
    """Return the package's accuracy, NaN where it has none; `seed` False is the mean over seeds."""
    try:
        info = api.get_more_info(index, dataset, hp=str(epochs), is_random=seed)
    except (KeyError, ValueError):
        return np.nan
    return info.get(f"{split}-accuracy", np.nan)


def ours(table: Table, index: int, split: str, epochs: int, seed) -> float:
    if split not in table.splits or epochs not in table.epochs:
        return np.nan
    return table.target(split, epochs, "mean" if seed is False else str(seed))[index]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("epochs", [12, 200])
def test_every_split_seed_and_mean_equals_the_official_api(pair, dataset, epochs):
    tables, api, kind = pair
    compared = 0
    for index in range(N):
        for split in ("train", "valid", "test", "valtest"):
            if (dataset, split) == ("cifar10", "valid"):
                continue  # the next test: it comes from other runs
            for seed in (False, *SEEDS):
                expected = official(api, index, dataset, epochs, split, seed)
                got = ours(tables[KEYS[dataset]], index, split, epochs, seed)
                np.testing.assert_allclose(got, expected, rtol=1e-13, err_msg=f"{index} {split} {seed}")
                compared += np.isfinite(expected)
    splits = {"cifar10": 2, "cifar10-valid": 3}.get(dataset, 4)
    trials = N if epochs == 12 else 3 + 2 + 1 + 3 + 2
    never_made = kind == "pth-v1_0" and epochs == 12 and dataset != "cifar10-valid"
    assert compared == (0 if never_made else splits * (N + trials))


@pytest.mark.parametrize("epochs", [12, 200])
def test_validation_of_cifar10_is_that_of_the_runs_on_half_the_images(pair, epochs):
    tables, api, _ = pair
    for index in range(N):
        for seed in (False, *SEEDS):
            expected = official(api, index, "cifar10-valid", epochs, "valid", seed)
            for dataset in ("cifar10", "cifar10-valid"):
                np.testing.assert_allclose(ours(tables[dataset], index, "valid", epochs, seed), expected, rtol=1e-13)


def test_seconds_of_each_training(pair):
    tables, api, _ = pair
    for official_name, dataset in KEYS.items():
        table = tables[dataset]
        for index in range(N):
            for e, epochs in enumerate(table.epochs):
                for s, seed in enumerate(SEEDS):
                    try:
                        expected = api.get_more_info(index, official_name, hp=str(epochs), is_random=seed)[
                            "train-all-time"
                        ]
                    except (KeyError, ValueError):
                        expected = None
                    got = np.nan if table.seconds_per_run is None else table.seconds_per_run[index, e, s]
                    np.testing.assert_allclose(got, np.nan if expected is None else expected, rtol=1e-13)


def test_axes_and_provenance(pair):
    tables, _, _ = pair
    assert set(tables) == set(KEYS.values())
    for table in tables.values():
        assert table.epochs[-1] == 200
        assert table.seeds == ("777", "888", "999")
        assert np.isfinite(table.per_seed("test", 200)).sum(axis=1).tolist() == [3, 2, 1, 3, 2]
        assert len(table.checksum) == 64
    assert tables["cifar10"].attributes["official_valid"] == "cifar10-valid x-valid"
    assert tables["cifar10"].attributes["official_test"] == "cifar10 ori-test"
    assert tables["cifar10-valid"].attributes["official_test"] == "cifar10-valid ori-test"
    assert tables["cifar100"].attributes["official_test"] == "cifar100 x-test"
    assert tables["imagenet16-120"].attributes["official_valtest"] == "ImageNet16-120 ori-test"


def test_the_order_is_the_space_s(written, archs):
    reverse = archs[::-1]
    forward, backward = (read_official(written["pth-v1_1"][0], expected=order)[0] for order in (archs, reverse))
    assert backward.archs == reverse
    np.testing.assert_array_equal(backward.accuracy, forward.accuracy[::-1])


def test_missing_architectures(tmp_path, archs):
    path = write_pth(tmp_path / "x.pth", document(package_201, archs, evaluated=[0, 3]))
    with pytest.raises(UserError, match="3 of 5 architectures are missing"):
        read_official(path, expected=archs)
    tables = read_official(path, expected=archs, complete=False)
    assert tables[0].archs == (archs[0], archs[3])
    with pytest.raises(UserError, match="2 architectures are not in the space"):
        read_official(path, expected=archs[:3])


def test_results_that_contradict_the_list(tmp_path, archs):
    content = document(package_201, archs)
    content["arch2infos"][1]["full"]["arch_str"] = archs[0]
    with pytest.raises(UserError, match="architecture 1 is .* in its results, .* in the list"):
        read_official(write_pth(tmp_path / "x.pth", content), expected=archs)


def test_accuracies_out_of_range(tmp_path, archs):
    content = document(package_201, archs)
    content["arch2infos"][1]["full"]["all_results"]["cifar10", 777]["eval_acc1es"]["ori-test@199"] = 123.0
    with pytest.raises(UserError, match=r"1 accuracies outside 0..100 percent: .* test 200 epochs seed 777 = 123"):
        read_official(write_pth(tmp_path / "x.pth", content), expected=archs)


@pytest.mark.parametrize("legacy", [True, False])
def test_weights_in_the_file_are_passed_over(tmp_path, archs, legacy):
    content = document(package_201, archs)
    plain = read_official(write_pth(tmp_path / "plain.pth", content, legacy), expected=archs)
    run = content["arch2infos"][0]["full"]["all_results"]["cifar10", 777]
    run["net_state_dict"] = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict()
    full = read_official(write_pth(tmp_path / "full.pth", content, legacy), expected=archs)
    for table, same in zip(plain, full, strict=True):
        np.testing.assert_array_equal(table.accuracy, same.accuracy)


def test_curves_shared_between_trainings_stay_right(tmp_path, archs):
    content = document(package_201, archs)
    runs = content["arch2infos"][0]["full"]["all_results"]
    for key in ("train_acc1es", "train_times", "eval_acc1es"):
        runs["cifar10", 888][key] = runs["cifar10", 777][key]
    table = read_official(write_pth(tmp_path / "x.pth", content), expected=archs)[0]
    for split in ("train", "test"):
        first, second, _ = table.per_seed(split, 200)[0]
        assert first == second
    assert table.seconds_per_run[0, 1, 0] == table.seconds_per_run[0, 1, 1]


def test_thinning_keeps_only_the_last_epoch():
    run = {
        "seed": 777,
        "epochs": 2,
        "train_acc1es": {0: 1.0, 1: 2.0},
        "train_acc5es": {0: 3.0, 1: 4.0},
        "train_times": {0: 5.0, 1: 6.0},
        "eval_acc1es": {"x@0": 7.0, "x@1": 8.0},
        "eval_losses": {"x@0": 0.0},
    }
    for _ in range(2):
        thin(run)
        assert run == {
            "epochs": 2,
            "train_acc1es": {1: 2.0},
            "train_times": {"total": 11.0},
            "eval_acc1es": {"x@1": 8.0},
        }
    other = {"epochs": 3}
    thin(other)
    assert other == {"epochs": 3}


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_run_nothing(tmp_path, archs, kind):
    mark = tmp_path / "mark"
    content = document(package_201, archs, {"less": 12} if kind.startswith("pth") else NATS_BUDGETS)
    content["arch2infos"][2]["extra"] = Evil(mark)
    if kind.startswith("pth"):
        path = write_pth(tmp_path / "x.pth", content, legacy=not kind.endswith("zip"))
    elif kind == "nats":
        package_nats.pickle_save(content, str(tmp_path / "x.pickle"))
        path = tmp_path / "x.pickle.pbz2"
    else:
        path = write_nats_folder(tmp_path / "simple", content, package_nats.pickle_save)
    with pytest.raises(UserError, match=r"it asks to run '(posix|nt)\.system'.*nothing was run"):
        read_official(path, expected=archs)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["pth-v1_1", "pth-v1_1-zip", "nats"])
def test_truncated_files(tmp_path, written, archs, kind):
    raw = written[kind][0].read_bytes()
    for part in (0.001, 0.3, 0.99 if kind == "nats" else 0.9):
        path = tmp_path / written[kind][0].name
        path.write_bytes(raw[: int(len(raw) * part)])
        with pytest.raises(UserError, match="truncated"):
            read_official(path, expected=archs)


def test_a_truncated_file_in_the_folder(tmp_path, archs):
    content = document(package_nats, archs[:2], {"12": 12})
    folder = write_nats_folder(tmp_path / "simple", content, package_nats.pickle_save)
    file = folder / "000001.pickle.pbz2"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="000001.pickle.pbz2: truncated"):
        read_official(folder)


def test_files_of_another_kind(tmp_path):
    with pytest.raises(UserError, match="expected meta_archs and arch2infos, found weight"):
        read_official(write_pth(tmp_path / "net.pth", {"weight": torch.zeros(3)}))
    package_nats.pickle_save([1, 2], str(tmp_path / "list.pickle"))
    with pytest.raises(UserError, match="expected meta_archs and arch2infos, found list"):
        read_official(tmp_path / "list.pickle.pbz2")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="not a NATS-Bench folder"):
        read_official(tmp_path / "empty")
    with pytest.raises(UserError, match="no such file"):
        read_official(tmp_path / "none.pth")


def test_progress_reaches_the_end(written, archs):
    for kind in KINDS:
        seen: list[tuple[int, int]] = []
        read_official(
            written[kind][0], expected=archs, on_progress=lambda done, total, seen=seen: seen.append((done, total))
        )
        assert seen
        assert seen[-1][0] >= 0.9 * seen[-1][1]
