"""Precision modes: what changes in bfloat16 and what must not, PyTorch's flags, the identity of run folders."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from ambient import AROUND, around, settings
from networks import Small, minibatch
from proxy_checks import FULL, STACK, given, stack_of
from torch import nn

import harness
import harness.cli.run
from benchmarks import UserError
from harness.engine.scoring import of_space, score_stack
from harness.probe.initialise import initialise, stream
from harness.probe.precision import arithmetic, widened
from harness.probe.probe import Probe
from harness.proxies.choose import choose
from harness.proxies.protocols import described, in_precision
from harness.proxies.registry import Proxy, registry
from harness.runs.config import RunConfig
from harness.runs.plan import default_folder
from harness.runs.runner import run
from harness.store.stored_run import target_in
from speed.precision import main as bench

CLOSE = {"grad_norm": 0.05, "fisher": 0.1, "naswot": 1e-3, "grasp": 0.15, "zico": 0.1, "ntk_trace": 0.05, "zen": 0.1}
"""How far a score in bfloat16 may be from float32's, relative. Its steps are 0.4 to 0.8 %."""


def scores(names: str, precision: str = "float32", indices=(FULL,)) -> dict:
    """Scores of one stack of small 201 cells, 12 images."""
    seen = in_precision(choose(names), precision)
    return score_stack(
        lambda: stack_of(indices), [str(i) for i in indices], [p for p in seen if not p.static], given(), seed=0,
        features=of_space,
    )  # fmt: skip


def probe_of(channels: int = 4, **settings) -> Probe:
    """A probe of one small cell in bfloat16."""
    network = stack_of([FULL], channels=channels)
    initialise(network, [stream(0, "model", "default 0")])
    return Probe(network, given().minibatches, precision="bfloat16", **settings)


def test_float32_is_what_it_was():
    for proxy in registry().values():
        assert in_precision([proxy], "float32") == [proxy]
    for dtype in (torch.float32, torch.float64):
        x = torch.ones(2, dtype=dtype)
        assert widened(x) is x
    with pytest.raises(UserError, match="unknown precision: 'float16'"):
        in_precision([], "float16")


def test_bfloat16_is_close_to_float32_and_another_thing():
    exact, rounded = scores(",".join(CLOSE)), scores(",".join(CLOSE), "bfloat16")
    for name, tolerance in CLOSE.items():
        before, after = exact[name].scores.item(), rounded[name].scores.item()
        assert before != after and after == pytest.approx(before, rel=tolerance), name


def test_what_is_read_in_float64_stays_so():
    names = [name for name, proxy in registry().items() if proxy.view.precision == "float64"]
    assert {"synflow", "meco", "dextr"} <= set(names)
    assert [p.view for p in in_precision([registry()[n] for n in names], "bfloat16")] == [
        registry()[n].view for n in names
    ]
    for name in ("synflow", "meco", "l2_norm"):
        assert scores(name)[name].scores.equal(scores(name, "bfloat16")[name].scores)


def test_every_proxy_has_a_score_in_bfloat16():
    names = [n for n, p in registry().items() if not p.static and p.view.precision == "float32" and p.view.repeats < 9]
    for name, scored in scores(",".join(names), "bfloat16").items():
        assert not scored.reasons and scored.scores.isfinite().all(), (name, scored.reasons)


def test_a_stack_its_order_and_a_repeat_in_bfloat16():
    names = "naswot,grad_norm,zico"
    stacked, again = scores(names, "bfloat16", STACK), scores(names, "bfloat16", STACK)
    turned = scores(names, "bfloat16", STACK[::-1])
    for name in names.split(","):
        assert stacked[name].scores.equal(again[name].scores)
        assert turned[name].scores.flip(0).tolist() == pytest.approx(stacked[name].scores.tolist(), rel=0.02)
        alone = [scores(name, "bfloat16", [i])[name].scores.item() for i in STACK]
        assert alone == pytest.approx(stacked[name].scores.tolist(), rel=CLOSE[name])


@pytest.mark.parametrize("settings", [{}, {"channels_last": True}, {"reads": ["weight_curvature"]}])
def test_batchnorm_takes_its_statistics_in_float32(settings: dict):
    probe, seen = probe_of(**settings), {}

    def keep(module, inputs, output):
        seen[module] = inputs[0].detach(), output.dtype

    for module in probe.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(keep)
    assert probe.outputs.dtype == torch.float32
    for module, (x, out) in seen.items():
        assert x.dtype == out == torch.bfloat16 and module.running_mean.dtype == torch.float32
        mean, var = x.double().mean((0, 2, 3)), x.double().var((0, 2, 3))
        assert torch.allclose(module.running_mean.double(), 0.1 * mean, atol=1e-6 * x.abs().max().item())
        assert torch.allclose(module.running_var.double(), 0.9 + 0.1 * var, rtol=1e-5)


@pytest.mark.parametrize("channels", [16, 64])  # a matrix product, and 4,096 units whose bits are counted
def test_formulas_inside_hooks_stay_exact(channels: int):
    probe, codes = probe_of(channels, reads=["relu_kernels", "relu_gram"]), []
    for module in probe.network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, x, y: codes.append(x[0].double().flatten(1)))
    kernels, gram = probe.relu_kernels, probe.observed("relu_gram")[0]
    for x, (_, agreement, units) in zip(codes, kernels, strict=True):
        on = (x > 0).double()
        assert agreement[0].equal(on @ on.T + (1 - on) @ (1 - on).T)  # whole numbers: bfloat16 has none beyond 256
        assert agreement[0].max() == units
    assert torch.allclose(gram, sum(x @ x.T for x in codes), rtol=1e-12)


@pytest.mark.usefixtures("own_proxies")
def test_model_level_proxies_stay_in_float32():
    @harness.module_proxy(labels=False)
    def total(model, inputs, targets):
        return model(inputs).sum()

    assert scores("total")["total"].scores.equal(scores("total", "bfloat16")["total"].scores)


def test_score_of_a_module():
    x, y = minibatch()
    exact, rounded = (harness.score(Small(), x, y, "grad_norm,synflow", precision=p) for p in ("float32", "bfloat16"))
    assert exact == harness.score(Small(), x, y, "grad_norm,synflow")
    assert exact["synflow"] == rounded["synflow"]
    assert exact["grad_norm"] != rounded["grad_norm"] == pytest.approx(exact["grad_norm"], rel=0.05)
    with pytest.raises(UserError, match="precision tf32 is for CUDA devices, not for cpu: take"):
        harness.score(Small(), x, y, "grad_norm", precision="tf32")


# PyTorch's flags


def flags() -> dict:
    """Everything that lets PyTorch compute less exactly than float32."""
    found = {"cudnn": torch.backends.cudnn.allow_tf32, "matmul": torch.get_float32_matmul_precision()}
    for name, of in (
        ("conv", torch.backends.cudnn),
        ("matmul", torch.backends.cuda),
        ("matmul", torch.backends.mkldnn),
    ):
        if hasattr(getattr(of, name), "fp32_precision"):
            found[f"{of.__name__}.{name}"] = getattr(of, name).fp32_precision
    return found


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("users", ["highest", "medium"])
def test_float32_means_float32_inside_and_flags_are_restored(precision: str, users: str):
    first = flags()
    torch.set_float32_matmul_precision(users)
    try:
        before = flags()
        assert before["cudnn"]  # PyTorch's default
        with pytest.raises(ZeroDivisionError), arithmetic(precision):
            inside = flags()
            raise ZeroDivisionError
        assert flags() == before
    finally:
        torch.set_float32_matmul_precision("highest")
    assert inside.pop("cudnn") is False and inside.pop("matmul") == "highest"
    assert set(inside.values()) <= {"ieee"}
    assert flags()["matmul"] == first["matmul"]


def test_tf32_is_for_convolutions_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    before = flags()
    with arithmetic("tf32", "cuda:0"):
        inside = flags()
    assert flags() == before
    assert inside["cudnn"] is True and inside["matmul"] == "highest" and not torch.backends.cuda.matmul.allow_tf32
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "T4")
    with pytest.raises(UserError, match="compute capability 8.0, T4 has 7.5"), arithmetic("tf32", "cuda:0"):
        pass


def test_scores_are_computed_with_the_flags():
    seen = []

    def look(probe):
        seen.append(flags())
        return torch.zeros(probe.archs)

    like = registry()["plain"]
    proxies = [Proxy(**{**vars(like), "score": look, "name": name}) for name in ("one", "two")]
    score_stack(lambda: stack_of([FULL]), ["a"], in_precision(proxies, "float32"), given(), seed=0)
    assert len(seen) == 2 and not any(each["cudnn"] for each in seen) and flags()["cudnn"]


@pytest.mark.parametrize("name", AROUND)
def test_a_run_inside_other_code_has_the_same_scores(name: str, embedded: Path, tmp_path: Path):
    config = {"sample": 3, "batch_size": 12, "workers": 1, "proxies": "naswot,snip,synflow,swap,zico"}
    usual = harness.correlate("201", **config, out=str(tmp_path / "usual"), verbose=False).run.scores
    with around(name):
        before = settings()
        inside = harness.correlate("201", **config, out=str(tmp_path / "inside"), verbose=False).run.scores
        assert settings() == before
    assert inside.keys() == usual.keys() and all((inside[each] == usual[each]).all() for each in usual)


# Run folders


def told(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_a_folder_holds_one_precision(embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "run"
    line = ["--bench", "201", "--sample", "3", "--batch-size", "12", "--workers", "1", "--proxies", "naswot"]
    assert harness.cli.run.main([*line, "--out", str(out)]) == 0
    assert harness.cli.run.main([*line, "--out", str(out), "--precision", "bfloat16"]) == 2
    assert "(precision 'float32' -> 'bfloat16')" in capsys.readouterr().err
    other = tmp_path / "other"
    assert harness.cli.run.main([*line, "--out", str(other), "--precision", "bfloat16"]) == 0
    for folder, precision in ((out, "float32"), (other, "bfloat16")):
        assert told(folder)["settings"]["precision"] == precision
        assert f"passes in {precision}" in (folder / "summary.md").read_text()
    assert told(other)["proxies"]["naswot"]["view"] == described(in_precision(choose("naswot"), "bfloat16")[-1].view)
    assert "bfloat16" in told(other)["proxies"]["naswot"]["view"]
    assert (
        harness.cli.run.main([*line, "--out", str(tmp_path / "third"), "--precision", "tf32", "--device", "cpu"]) == 2
    )
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("nas-harness run: precision tf32 is for CUDA devices")
    with pytest.raises(UserError, match="unknown value of --precision: 'half'"):
        RunConfig(bench="201", precision="half")


def test_a_folder_of_before_is_in_float32(embedded: Path, tmp_path: Path):
    out, said = tmp_path / "run", []
    config = {"bench": "201", "sample": 3, "batch_size": 12, "workers": 1, "proxies": "naswot", "out": str(out)}
    first, manifest = run(RunConfig(**config), say=said.append), told(out)
    old = {name: value for name, value in manifest["settings"].items() if name != "precision"}
    (out / "manifest.json").write_text(json.dumps({**manifest, "settings": old}))
    with pytest.raises(UserError, match="precision 'float32' -> 'bfloat16'"):
        run(RunConfig(**config, precision="bfloat16"), say=said.append)
    again = run(RunConfig(**config), say=said.append)
    assert np.array_equal(first.scores["naswot"], again.scores["naswot"], equal_nan=True)
    of_run = old | target_in(manifest)
    assert default_folder(of_run) == default_folder(of_run | {"precision": "float32"})
    assert default_folder(of_run) != default_folder(of_run | {"precision": "bfloat16"})


def test_the_benchmark(embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    from scipy.stats import kendalltau, spearmanr

    out = tmp_path / "precision.json"
    line = ["--archs", "6", "--timed", "2", "--batch-size", "12", "--proxies", "naswot,synflow", "--device", "cpu"]
    assert bench([*line, "--cells", "2", "--out", str(out)]) == 0
    found, said = json.loads(out.read_text()), capsys.readouterr().out
    assert "tf32 is left out: precision tf32 is for CUDA devices" in said
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG") and str(tmp_path) not in out.read_text()
    assert found["network"]["cells_per_stage"] == 2 and len(set(found["archs"])) == len(found["accuracy"]) == 6
    exact, rounded = (found["measured"][mode]["scores"] for mode in ("float32", "bfloat16"))
    rows = {row["proxy"]: row for row in found["proxies"]}
    assert rows["synflow"]["same"] and exact["synflow"] == rounded["synflow"] and not rows["naswot"]["same"]
    row = rows["naswot"]
    assert row["tau_b"] == pytest.approx(kendalltau(exact["naswot"], rounded["naswot"]).statistic)
    assert row["rho"] == pytest.approx(spearmanr(exact["naswot"], rounded["naswot"]).statistic)
    truth = [kendalltau(side["naswot"], found["accuracy"]).statistic for side in (exact, rounded)]
    assert (row["tau_b_truth_float32"], row["tau_b_truth"]) == pytest.approx(tuple(truth))
    assert row["change"] == pytest.approx(truth[1] - truth[0]) and row["failures"] == 0
    seconds = [found["measured"][mode]["seconds"]["naswot"] for mode in ("float32", "bfloat16")]
    assert [len(each) for each in seconds] == [2, 2] and row["ratio"] == pytest.approx(
        sum(seconds[0]) / sum(seconds[1])
    )
    assert all(math.isfinite(each) and each > 0 for mode in found["measured"].values() for each in mode["together"])


def test_options_of_the_benchmark(capsys: pytest.CaptureFixture):
    assert bench(["--archs", "0", "--cells", "0"]) == 2
    assert "--archs 0: expected 1 or more; --cells 0: expected 1 or more" in capsys.readouterr().err
