"""`nas-harness zoo` with stand-ins for the packages: what is scored, what fails and why, and the CSV."""

from __future__ import annotations

import sys
from types import ModuleType

import pandas as pd
import pytest
from torch import nn

from harness.cli.main import main


class Broken(nn.Module):
    def forward(self, x):
        raise ValueError("made for other images")


def small(classes=4):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


def build(name):
    if name == "unbuildable":
        raise RuntimeError("needs another package\nand more")
    model = Broken() if name == "broken" else small()
    model.default_cfg = {"input_size": (3, 9, 9)}
    return model


@pytest.fixture
def packages(monkeypatch):
    names = ["small_a", "small_b", "broken", "unbuildable"]
    timm = ModuleType("timm")
    timm.list_models, timm.create_model = lambda: names, lambda name, pretrained: build(name)
    torchvision, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    torchvision.models = models
    models.list_models, models.get_model = lambda module: names, lambda name, weights: build(name)
    for module in (timm, torchvision, models):
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_a_zoo(packages, package, tmp_path, capsys):
    out = tmp_path / "zoo.csv"
    words = ["zoo", package, "--proxies", "snip,synflow,zen", "--batch-size", "4", "--out", str(out)]
    assert main([*words, "--resolution", "9"]) == 0
    printed = capsys.readouterr()
    assert "2 of 4 networks scored" in printed.out and "16 of 18 scores are finite" in printed.out
    assert "broken: not scored: the model does not run on inputs of the shape (4, 3, 9, 9): made for" in printed.out
    assert "unbuildable: not scored: RuntimeError: needs another package\n" in printed.out
    assert "2 x LookupError: needs the map before pooling" in printed.out and "4/4 unbuildable" in printed.err
    table = pd.read_csv(out, index_col="network")
    assert table.snip.notna().tolist() == [True, True, False, False] and table.zen.isna().all()
    assert table.loc["small_a", "snip"] == table.loc["small_b", "snip"]  # one seed, one network
    assert main(words) == 2 and "is there: give another --out, or --existing replace" in capsys.readouterr().err
    assert main([*words, "--limit", "1", "--existing", "replace"]) == 0 and len(pd.read_csv(out)) == 1


def test_some_of_a_zoo(packages, tmp_path, capsys):
    out = str(tmp_path / "zoo.csv")
    assert main(["zoo", "timm", "--networks", "small_b, nothing*", "--proxies", "snip", "--out", out]) == 0
    assert "1 of 1 networks scored" in capsys.readouterr().out
    assert main(["zoo", "timm", "--networks", "vit_*"]) == 2
    assert "no network of timm is called like 'vit_*'" in capsys.readouterr().err


def test_a_zoo_that_is_not_installed(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.chdir(tmp_path)
    assert main(["zoo", "timm"]) == 2 and not list(tmp_path.iterdir())
    assert "timm is not installed" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["zoo", "keras"])
