"""Targets of a space: known files in the data folder, and columns of a user's own."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks import UserError, space_of
from benchmarks.spaces.targets import read_targets, targets

SPACE = space_of("201")
ROBUST = "net,val_accs,aa_apgd-ce@Linf_eps-0.5,aa_square@Linf_eps-1.0,fgsm@Linf_eps-255.0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with small files in the forms of the published ones."""
    made = tmp_path_factory.mktemp("data")
    (made / "robustness_targets.csv").write_text(f'{ROBUST}\n"(4, 0, 3, 1, 4, 3)",84.99,61.0,78.6,9.9\n')
    head = "net,edgegpu_latency,edgegpu_energy,eyeriss_arithmetic_intensity"
    for name, first in (("cifar10", 5.8), ("ImageNet16-120", 5.9)):
        (made / f"hw_{name}.csv").write_text(f'{head}\n"(4, 3, 3, 0, 0, 0)",{first},24.2,6.3\n')
    devices = made / "help-nasbench201"
    devices.mkdir()
    with zipfile.ZipFile(devices / "1080ti_1.pt", "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(np.arange(len(SPACE)).astype(float).tolist(), protocol=2))
    return made


def test_every_group_by_its_short_names(folder):
    assert targets(SPACE, folder) == [
        "robust:clean", "robust:apgd@0.5", "robust:square@1", "robust:fgsm@255", "hardware:edgegpu_latency",
        "hardware:edgegpu_energy", "hardware:eyeriss_arithmetic_intensity", "latency:1080ti_1",
    ]  # fmt: skip
    found = {each.name: each for each in read_targets("all", SPACE, folder)}
    assert [(each.unit, each.better) for each in found.values()] == [
        *[("%", "larger")] * 4, ("ms", "smaller"), ("mJ", "smaller"), ("", "larger"), ("ms", "smaller"),
    ]  # fmt: skip
    arch = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|"
    assert found["robust:apgd@0.5"].values[SPACE.index(arch)] == 61.0
    assert np.isfinite(found["robust:apgd@0.5"].values).sum() == 1
    assert found["hardware:edgegpu_latency"].values[0] == 5.8  # the first of the official order
    assert found["latency:1080ti_1"].values.tolist() == list(range(len(SPACE)))


def test_the_file_of_the_data_set_and_the_spelling_of_the_file(folder):
    assert read_targets("hardware:edgegpu_latency", SPACE, folder, "imagenet16-120")[0].values[0] == 5.9
    (one,) = read_targets(["robust:aa_square@Linf_eps-1.0", "robust:square@1"], SPACE, folder)
    assert one.name == "robust:square@1"


def test_a_csv_of_the_users_own(tmp_path):
    rows = "\n".join(f"{arch},{index},{index / 2},x" for index, arch in enumerate(SPACE.archs[:3]))
    path = tmp_path / "mine.csv"
    path.write_text(f"arch,ms,points,note\n{rows}\n")
    ms, points = read_targets(f"{path}:ms:smaller,{path}:points", SPACE)
    assert (ms.name, ms.better, points.better) == ("mine.csv:ms", "smaller", "larger")
    assert ms.values[:3].tolist() == [0, 1, 2] and np.isnan(ms.values[3:]).all()
    assert [each.name for each in read_targets(str(path), SPACE)] == ["mine.csv:ms", "mine.csv:points"]
    numbers = tmp_path / "numbers.csv"  # an arch column of numbers
    numbers.write_text("arch,ms\n7,3.5\n2,\n")
    (found,) = read_targets(str(numbers), SPACE)
    assert found.values[7] == 3.5 and np.isnan(found.values[2])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("robust:pdg@1", r"unknown target of robust: 'pdg@1'"),
        ("robbust:x", r"unknown target: 'robbust:x' \(did you mean robust:NAME\?\)"),
        ("", "no target in ''"),
        ("none.csv:x", "none.csv: no such file"),
        ("latency:1080ti_1", "latency: help-nasbench201 not found in .*; nas-harness data get latency"),
        ("all", "no file of targets in"),
        ("twice.csv", "1 architectures occur more than once"),
        ("word.csv:ms", "unknown target of .*word.csv: 'ms'"),
        ("text.csv", "no column of numbers besides the architectures"),
        ("foreign.csv", "architectures are not in the space"),
    ],
)
def test_what_is_wrong_is_said(words, said, tmp_path, folder):
    arch = SPACE.archs[0]
    for name, text in {
        "twice.csv": f"arch,ms\n{arch},1\n{arch},2\n", "word.csv": f"arch,s,ms\n{arch},1,fast\n",
        "text.csv": f"arch,ms\n{arch},fast\n", "foreign.csv": "arch,ms\nx,1\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    where = folder if words.startswith("robust") else tmp_path
    path = f"{tmp_path}/{words}" if ".csv" in words else words
    with pytest.raises(UserError, match=said):
        read_targets(path, SPACE, where)


def test_an_array_of_another_length_and_a_hostile_list_are_refused(tmp_path):
    np.savez(tmp_path / "latency_27_devices.npz", a=np.zeros(3))
    with pytest.raises(UserError, match=r"shape \(3,\); expected 15,625 numbers"):
        read_targets("latency", SPACE, tmp_path)
    (tmp_path / "help-nasbench201").mkdir()
    with zipfile.ZipFile(tmp_path / "help-nasbench201" / "x.pt", "w") as file:
        file.writestr("archive/data.pkl", b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match=r"os\.system|refused"):
        read_targets("latency", SPACE, tmp_path)
    buffer = io.BytesIO()
    pickle.dump({"a": 1}, buffer, protocol=2)
    with zipfile.ZipFile(tmp_path / "help-nasbench201" / "x.pt", "w") as file:
        file.writestr("archive/data.pkl", buffer.getvalue())
    with pytest.raises(UserError, match="something else than a list of numbers"):
        read_targets("latency", SPACE, tmp_path)


def test_all_seventy_of_the_published_files(real_data):
    if not (real_data / "targets201").is_dir():
        pytest.skip("no targets201/ in the data folder")
    found = {each.name: each for each in read_targets("all", SPACE, real_data)}
    assert len(found) == 70 and all(np.isfinite(each.values).all() for each in found.values())
    assert found["robust:clean"].values.max() == 91.57
    assert sum(each.better == "smaller" for each in found.values()) == 36  # 9 of hardware, 27 latencies
