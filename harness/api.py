"""What Python users call: `score` any module, `correlate` a benchmark, `judge` scores computed elsewhere."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from inspect import Parameter, signature
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, overload

from torch import nn

from benchmarks.benchmark import GROUPS
from benchmarks.errors import UserError, joined, reporting, say
from harness.analysis.ensembles import with_ensembles
from harness.analysis.head_to_head import head_to_head
from harness.analysis.summary import summarise
from harness.analysis.targets import each_target
from harness.engine.module_score import Scores, score_module
from harness.probe.logits import Choice
from harness.proxies.choose import choose
from harness.proxies.protocols import in_precision
from harness.report.outcome import Comparison, Correlation
from harness.runs.config import RunConfig, each_space
from harness.runs.evaluate_scores import store_scores
from harness.runs.runner import run
from harness.runs.sources import gather, names_of
from harness.store.stored_run import StoredRun, load_run


def score(
    model: nn.Module,
    inputs: Any,
    targets: Any = None,
    proxies: str = "core",
    *,
    blocks: str | Sequence[str] | None = None,
    logits: Choice = None,
    strict: bool = False,
    seed: int = 0,
    precision: str = "float32",
) -> Scores:
    """Return {proxy: score} of a module for one minibatch, larger is better; NaN where a proxy failed, with a warning.

    `inputs` (samples, ...): a tensor or an array of floats (images, sequences), whole numbers (tokens), or a mapping of
    these by keyword of the model's forward. `targets` (samples,): class numbers; proxies that use no labels never look
    at them, and None is right where all are such. The module returns logits (samples, classes); of one output a sample
    it is read as the logit of class 1. `logits` chooses among several outputs: a place, a key, or a function of what
    the module returns. `blocks` names modules whose outputs are the feature blocks ("stem,layer1" or a list); the last
    is the map before pooling. `precision` is a mode of `harness.probe.precision`: float32, tf32, bfloat16.

    The given weights are used; a proxy that draws weights by definition (zen) does so on a copy. A proxy with several
    minibatches (zico) splits the given one evenly. Layer types have rules (`harness.probe.layer_rules`); parameters
    that none knows are named in a warning and in `left_out` of the result, `strict=True` refuses them. `reasons` of the
    result says of each failed proxy why.

    The module is left as it was: everything happens on copies. Inside `no_grad` or `autocast`, and under another
    default dtype or device, scores are the same; calls from several threads take turns. Raises UserError for unknown
    proxies, all at once, for tf32 where the module is not on a CUDA device, for what is no ordinary module
    (TorchScript, lazy layers), for inputs that are empty or not finite or that the module does not take, and for
    outputs of which the logits are not clear.
    """
    if not isinstance(seed, Integral) or abs(seed) >= 2**63:
        raise UserError(f"seed {seed!r}: expected a whole number of 64 bits")
    chosen = in_precision(choose(joined(proxies)), joined(precision))
    return score_module(
        model, inputs, targets, chosen, blocks=blocks, logits=logits, strict=strict, seed=int(seed), precision=precision
    )


@overload
def correlate(
    bench: Literal["1shot1", "1shot1-closed", "1shot1-pruned"], *, space: str | None = None, **settings: Any
) -> dict[str, Correlation]: ...
@overload
def correlate(bench: str = "201", **settings: Any) -> Correlation: ...
def correlate(
    bench: str = "201", *, space: str | None = None, verbose: bool = True, **settings: Any
) -> Correlation | dict[str, Correlation]:
    """Do from Python what `python -m harness.run` does; settings are the fields of `harness.runs.config.RunConfig`.

    For a benchmark of several spaces return {key: result}; `space` "1,3" chooses among them. verbose: report progress
    on standard error. A proxy of your own is tried on one network first, as on the command line.
    """
    with reporting(verbose):
        configs = each_space(space, bench=bench, **settings)
        found = {config.bench: _with_statistics(run(config, dry_run=True)) for config in configs}
    return found if str(bench) in GROUPS else found[str(bench)]


def compare(
    *proxies: str,
    bench: str = "all",
    population: str = "all",
    resamples: int = 1000,
    kept: bool = False,
    verbose: bool = True,
    **settings: Any,
) -> Comparison:
    """Compare two or more proxies head to head, as `nas-harness compare` does.

    A proxy is a name, `FILE.py:NAME` of your own, the path of a CSV of scores, or the folder of a run. bench: keys by
    commas, or "all": every benchmark with ground truth. kept: built-in proxies are taken from the kept scores where
    there are any. settings: fields of `harness.runs.config.RunConfig`. Raises UserError.
    """
    with reporting(verbose):
        runs = each_target(gather(proxies, joined(bench), kept=kept, say=say, **settings))
        names = names_of(proxies, runs.values())
    return Comparison(head_to_head(runs, names, population=population, resamples=resamples))


def load(folder: str | Path) -> Correlation:
    """Return a finished run with its statistics; nothing is scored. Raises UserError where the folder holds none."""
    return _with_statistics(load_run(folder))


def judge(
    scores: Any,
    bench: str = "201",
    *,
    dataset: str | None = None,
    split: str | None = None,
    epochs: int | None = None,
    reduction: str = "mean",
    data: str | None = None,
    out: str | Path | None = None,
    existing: str = "resume",
    target: str | None = None,
    given: str | None = None,
) -> Correlation:
    """Return the run and the statistics of scores computed elsewhere.

    `scores`: the path of a CSV file, or of a JSON file of NAS-Bench-Suite-Zero; a DataFrame; a Series or dictionary by
    architecture or index; an array (archs,) or (archs, proxies) in the order of the table. Columns: `arch` or `index`,
    and one for each proxy, or `proxy` and `score`; `seed` tells several scores of one architecture apart. Larger is
    better; empty, nan or inf is a failure and is counted.
    `target` and `given` name further targets, as on the command line; `targets` of the result has their statistics.
    `out` is the run folder that is written (default: a separate one under results/); one that holds other scores is
    refused unless `existing="replace"`. Raises UserError, in one line, for whatever cannot be used.
    """  # fmt: skip
    return _with_statistics(store_scores(
        scores, joined(bench), dataset=dataset, split=split, epochs=epochs, reduction=reduction, data=data, out=out,
        existing=existing, target=target, given=given,
    ))  # fmt: skip


def _with_statistics(run: StoredRun) -> Correlation:
    whole = with_ensembles(run)
    return Correlation(whole, summarise(whole))


def _described(function: Any, without: Collection[str] = ()) -> None:
    """Give a function that takes the settings of a run as keywords their names and types, for `help` and editors."""
    own = signature(function)
    named = [each for each in own.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    settings = [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(RunConfig) if each.init and each.name not in {*own.parameters, *without}
    ]  # fmt: skip
    function.__signature__ = own.replace(parameters=[*named, *settings])


_described(correlate)
_described(compare, ("proxies", "out", "existing", "all_stored"))
