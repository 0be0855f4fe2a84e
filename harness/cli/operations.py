"""`python -m harness.operations`: compare scores of operations on edges, and judge them by the table.

Scores from the table (best-acc, avg-acc), of an untrained supernet perturbed (zc-pt, disc-zc, each with any proxy as
zc-pt:PROXY; tenas), saliencies (zeros-*, weights-*), and of a trained supernet (darts, darts-pt, disc-acc, ostr,
removal); docs/operations.md says what they are.
"""

from __future__ import annotations

import sys

from benchmarks.command import Parser, carry_out
from benchmarks.registry import BENCHMARKS
from harness.cli.supernet_options import STOPPED, add_training


def parser() -> Parser:
    """Return the command line; its names are the fields of OperationsConfig."""
    line = Parser(prog="python -m harness.operations", description=(__doc__ or "").split("\n\n")[1])
    add = line.add_argument
    add("--bench", required=True, help=f"benchmark of operations on edges: {', '.join(BENCHMARKS)}")
    add("--scores", default="default", help="default, table, trained, all, or names separated by commas")
    add("--reference", help="score that the others are compared with (default: best-acc@trials where there is any)")
    add("--dataset", help="dataset of the ground truth (default: the first there is, otherwise the embedded digits)")
    add("--split", default="test", help="accuracy by which results are judged: test (default), valid, train")
    add("--epochs", type=int, help="training budget of that accuracy (default: the largest)")
    add("--seeds", type=int, default=1, help="of weights, architecture parameters and minibatches (default 1)")
    add("--first-seed", type=int, default=0, help="the first of them (default 0)")
    add("--batch-size", type=int, default=64, help="samples in a minibatch (default 64)")
    add("--inputs", default="images", help="images (default), gaussian, an .npz file or a folder of images")
    add("--augment", action="store_true", help="random flip and crop of the images, as the papers' searches have it")
    add("--along", action="store_true", help="zc-pt, disc-zc, tenas: at each step of a search in fixed order")
    add_training(line)
    add("--data", help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA)")
    add("--device", default="auto", help="auto (default), cpu, cuda")
    add("--out", help="folder to write to (default: a name of its own under results/)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Compare; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    given = vars(parser().parse_args(argv))
    out = given.pop("out")

    def action() -> None:
        from harness.operations.compare import compare
        from harness.operations.config import OperationsConfig
        from harness.operations.report import folder_for, print_comparison, write_comparison

        config = OperationsConfig(**given)
        folder = folder_for(config, out)
        found = compare(config, say=lambda line: print(line, file=sys.stderr), folder=folder)
        print_comparison(found)
        print(f"written to {write_comparison(found, folder)}")

    return carry_out("harness.operations", action, STOPPED)
