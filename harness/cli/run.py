"""`python -m harness.run`: score architectures with zero-cost proxies and judge them by the ground truth."""

from __future__ import annotations

import sys

from benchmarks.registry import GROUPS, known
from harness.cli.parser import Parser, carry_out
from harness.probe.precision import PRECISIONS
from harness.proxies.protocols import PROTOCOLS


def parser() -> Parser:
    """Return the command line; its names are the fields of RunConfig."""
    line = Parser(prog="python -m harness.run", description=__doc__)
    add = line.add_argument
    several = f"{', '.join(GROUPS)}: several spaces, one after another"
    add("--bench", required=True, help=f"benchmark: {', '.join(known())} (or {several})")
    add("--space", help="of several spaces only these, such as 1 or 1,3")
    add("--network", help="1shot1: 101, the cell's network there (default), or oneshot, that of the searches")
    add("--dataset", help="dataset of the ground truth (default: the first there is, otherwise the embedded digits)")
    add("--split", default="test", help="accuracy to predict: test (default), valid, train")
    add("--epochs", type=int, help="training budget of that accuracy (default: the largest)")
    add("--reduction", default="mean", help="over the accuracy's seeds: mean (default), max, or a seed label")
    add(
        "--proxies",
        default="core",
        help="core (default), all, or names separated by commas; FILE.py:NAME for one's own",
    )
    add("--sample", default="auto", help="architectures, drawn uniformly: a number or all")
    add("--seeds", type=int, default=1, help="initialisations and minibatches (default 1)")
    add("--batch-size", type=int, help="samples in the minibatch (default: the protocol's, usually 64)")
    add("--balanced", action="store_true", help="draw equally many of each class")
    add("--inputs", default="images", help="images (default), gaussian, an .npz file or a folder of images")
    add("--protocol", default="default", help=f"whose conventions to score under: {', '.join(PROTOCOLS)}")
    add("--data", help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA)")
    add("--devices", "--device", default="auto", help="auto (default), cpu, cuda (all GPUs) or a list: cuda:0,cuda:2")
    add("--precision", default="float32", help=f"of the passes: {', '.join(PRECISIONS)}; tf32: CUDA only")
    add("--stack", default="auto", help="architectures run together: auto (default) or a number")
    add("--workers", type=int, default=0, help="processes on a CPU (default: one for each core) or for each GPU")
    add("--executor", default="local", help="local: processes here (default); ray: a cluster started by `ray start`")
    add("--gpu-share", type=float, default=1.0, help="part of a GPU for each worker of a Ray cluster (default 1)")
    add("--existing", default="resume", help="if the output folder holds a run: resume (default), replace, refuse")
    add("--no-share", dest="share", action="store_false", help="score every string by itself, equivalent ones too")
    add("--keep-unreachable", action="store_true", help="build operations that lie on no input-output path")
    add("--out", help="run folder (default: a name of its own under results/)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Run; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    given = vars(parser().parse_args(argv))
    spaces = given.pop("space")

    def action() -> None:
        from harness.analysis.ensembles import with_ensembles
        from harness.analysis.summary import summarise
        from harness.report import print_summary, write_report
        from harness.runs.config import each_space
        from harness.runs.runner import run

        for config in each_space(spaces, **given):
            stored = with_ensembles(run(config, say=lambda line: print(line, file=sys.stderr)))
            summary = summarise(stored)
            paths = write_report(stored, summary)
            print_summary(stored, summary)
            print(f"report: {paths.get('html', stored.path)}")

    return carry_out("harness.run", action, "stopped; everything scored is kept: repeat the command to continue")
