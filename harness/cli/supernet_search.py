"""The command line of searches over a supernet: `python -m harness.search --method zero-cost-pt` comes here."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.command import Parser, carry_out
from harness.cli.supernet_options import STOPPED, add_training
from harness.operations.config import ORDERS
from harness.operations.search.methods import METHODS, SALIENCIES, STRENGTHS


def parser() -> Parser:
    """Return the command line of these searches."""
    line = Parser(prog="python -m harness.search", description="Search over a supernet, untrained or trained.")
    add = line.add_argument
    add("--bench", required=True, help="benchmark that has a supernet: 201")
    add("--method", required=True, help="; ".join(f"{name}: {meaning}" for name, meaning in METHODS.items()))
    add(
        "--score",
        help=f"proxy of zero-cost-pt (default naswot), or saliency of freedarts: {', '.join(SALIENCIES)};"
        f" of ostr-darts: {', '.join(STRENGTHS)}",
    )
    add(
        "--order",
        default="",
        help=f"in which edges are decided: {', '.join(ORDERS)} (default random; ostr-darts: fixed)",
    )
    add("--proposals", type=int, default=10, help="N, proposals of a search (default 10)")
    add("--validations", type=int, default=100, help="V, minibatches that choose among them (default 100)")
    add("--tuning", type=int, default=0, help="epochs of training after each decision in a trained supernet (default 0;"
        " DARTS-PT has 5)")  # fmt: skip
    add("--seeds", type=int, default=1, help="searches, each with weights and minibatches of its own (default 1)")
    add("--first-seed", type=int, default=0, help="the first of them (default 0)")
    add("--dataset", help="dataset of the ground truth and of the images")
    add("--split", default="test", help="accuracy by which results are judged (default test)")
    add("--epochs", type=int, help="training budget of that accuracy (default: the largest)")
    add("--batch-size", type=int, default=64, help="samples in a minibatch (default 64; the paper has 256)")
    add("--inputs", default="images", help="images (default), gaussian, an .npz file or a folder of images")
    add("--augment", action="store_true", help="random flip and crop of the images, as the paper has it")
    add_training(line)
    add("--data", help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA)")
    add("--device", default="auto", help="auto (default), cpu, cuda")
    add("--out", help="folder to write to (default: a name of its own under results/)")
    return line


def main(argv: Sequence[str] | None = None) -> int:
    """Search; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    given = vars(parser().parse_args(argv))
    own = {name: given.pop(name) for name in ("method", "score", "order", "proposals", "validations", "tuning")}
    out = given.pop("out")

    def action() -> None:
        from pathlib import Path

        from harness.operations.config import OperationsConfig
        from harness.operations.search.report import mean_line, write_found
        from harness.operations.search.run import FindConfig, find
        from harness.report.folder import checked

        config = FindConfig(base=OperationsConfig(**given), **own)
        name = "-".join(filter(None, ("search", config.base.bench, config.base.dataset, config.method)))
        folder = checked(Path(out) if out else Path("results") / name, "supernet search")
        found = find(config, say=lambda line: print(line, file=sys.stderr), folder=folder)
        print(mean_line(found))
        print(f"written to {write_found(found, folder)}")

    return carry_out("harness.search", action, STOPPED)
