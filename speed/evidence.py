"""`python -m speed.evidence`: the queue of long runs behind the tables: what is done, what is next; it carries it on.

Each step is a `python -m harness.run` into a folder of its own under --out, one after another, in a process of low
priority. A step that was interrupted continues; a step that is done is skipped. Put an earlier run folder of a step
under its name into --out and it is continued, too.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UserError, suggest
from harness.proxies.choose import choose
from harness.store.parts import read_part
from harness.store.stored_run import load_run
from speed.command import CommandLine, say

NINE = "plain,grad_norm,snip,fisher,synflow,jacob_cov,naswot,l2_norm,epe_nas"
COUNTS = "params,flops,layers,params_reachable,flops_reachable,random"
WHOLE_201 = "--bench 201 --dataset cifar10 --sample all"
SAMPLE_201 = "--bench 201 --dataset cifar10 --sample 1000"


@dataclass(frozen=True)
class Step:
    """One call of `harness.run`; several steps may extend one folder."""

    name: str
    folder: str
    options: str
    proxies: str
    """Besides those that the folder holds already."""
    hours: float
    """On one core of 2025, about."""


STEPS = (
    Step("201-classic", "201-cifar10-all", WHOLE_201, f"{NINE},{COUNTS}", 1.0),
    Step("201-single-pass", "201-cifar10-all", WHOLE_201,
         "epe_nas@naslib,jacob_logdet,naswot@naslib,naswot@layerwise,naswot@hnas,grad_norm@aw_nas,logsynflow,"
         "logsynflow@naslib,meco,near,synflow@snr,synflow@log_snr", 0.7),
    Step("201-twenty-five", "201-cifar10-all", WHOLE_201, "synflow_bn,synflow@zennas,rbflex,meco_opt", 0.6),
    Step("201-noise-ratio", "201-cifar10-all", WHOLE_201, "snip@snr,snip@log_snr,zico,t_cet,zen@naslib", 2.7),
    Step("201-az-nas", "201-cifar10-all", WHOLE_201,
         "az_expressivity,az_progressivity,az_trainability,az_complexity", 2.5),
    Step("201-curvature", "201-cifar10-all", WHOLE_201, "grasp,vkdnw_single", 4.0),
    Step("201-swap", "201-cifar10-all", WHOLE_201, "swap", 4.0),
    Step("macro-classic", "macro-cifar10-all", "--bench macro --dataset cifar10 --sample all", f"{NINE},{COUNTS}", 1.0),
    Step("201-zero-cost-nas", "201-zero-cost-nas", f"{SAMPLE_201} --protocol zero-cost-nas",
         f"{NINE},grasp,{COUNTS}", 0.8),
    Step("201-suite-zero", "201-suite-zero", f"{SAMPLE_201} --protocol suite-zero",
         f"{NINE},grasp,{COUNTS}", 0.8),
    Step("201-az-nas-protocol", "201-az-nas", f"{SAMPLE_201} --protocol az-nas",
         f"grad_norm,naswot,snip,synflow,grasp,{COUNTS}", 0.8),
    Step("201-vkdnw-protocol", "201-vkdnw", "--bench 201 --dataset cifar10 --sample 300 --seeds 5 --protocol vkdnw",
         f"grad_norm,snip,synflow,jacob_cov,naswot,{COUNTS}", 0.8),
    Step("201-draws", "201-draws", "--bench 201 --dataset cifar10 --sample 300 --seeds 4",
         f"{NINE},epe_nas@naslib,meco,zen@naslib,zico,grad_norm@az_nas,grasp,az_expressivity,az_progressivity,"
         "az_trainability", 1.5),
    Step("101-uniform", "101-uniform-cifar10",
         "--bench 101 --dataset cifar10 --split valid --sample 300 --batch-size 16",
         f"{NINE},grasp,logsynflow@naslib,{COUNTS}", 1.0),
    Step("1shot1", "1shot1-cifar10", "--bench 1shot1 --dataset cifar10 --sample 200 --batch-size 16",
         f"{NINE},{COUNTS}", 1.5),
)  # fmt: skip
"""In the order of what the open questions need first."""


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("evidence", __doc__)
    line.add_argument("--steps", default="all", help=f"all (default) or some of {', '.join(s.name for s in STEPS)}")
    line.add_argument("--list", action="store_true", help="list the steps and what is done, and stop")
    line.add_argument("--data", help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA)")
    line.add_argument("--out", type=Path, default=Path("results/runs"), help="folder of the runs")
    line.add_argument("--workers", type=int, default=1, help="processes of a run on a CPU (default 1)")
    return line


def main(argv: list[str] | None = None) -> int:
    """List, or carry on; return the exit code: 1 where a step failed."""
    return parser().run(argv, _run, "stopped; everything scored is kept: repeat the command to continue")


def _run(given: argparse.Namespace) -> bool:
    steps = _chosen(given.steps)
    for step in steps:
        print(f"{step.name:20}  {state(step, given.out):12}  about {step.hours:g} core-hours  {step.proxies}")
    if given.list:
        return False
    failed = False
    for step in steps:
        if state(step, given.out) != "done":
            say(f"{step.name}: {command(step, given.out, given.data, given.workers)}")
            failed |= bool(_carry_on(step, given.out, given.data, given.workers))
    return failed


def _chosen(names: str) -> list[Step]:
    known = {step.name: step for step in STEPS}
    wanted = list(known) if names == "all" else [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise suggest(unknown, known, "step")
    return [known[name] for name in wanted]


def state(step: Step, out: Path) -> str:
    """Return "done", "begun" or "to do"."""
    folders = [path.parent for path in (out / step.folder).glob("**/manifest.json")]
    wanted = {proxy.name for proxy in choose(step.proxies)}
    try:
        done = [wanted <= load_run(folder).scores.keys() for folder in folders]
    except UserError:  # not finished yet, or damaged
        done = [False]
    if folders and all(done):
        return "done"
    parts = (part for folder in folders for part in (folder / "parts").glob("*.npz"))
    return "begun" if any(wanted & set(read_part(part).proxies) for part in parts) else "to do"


def command(step: Step, out: Path, data: str | None, workers: int) -> str:
    """Return the command of a step."""
    place = f"--data {data} " if data else ""
    return (
        f"python -m harness.run {step.options} --proxies {step.proxies} {place}--workers {workers}"
        f" --out {out / step.folder}"
    )


def _carry_on(step: Step, out: Path, data: str | None, workers: int) -> int:
    """Run a step in a process of low priority; return its exit code. An interrupt ends both."""
    words = command(step, out, data, workers).split()[1:]
    lower = (lambda: os.nice(19)) if hasattr(os, "nice") else None
    return subprocess.run([sys.executable, *words], preexec_fn=lower, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
