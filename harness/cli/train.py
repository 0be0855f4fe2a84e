"""`python -m harness.train`: ground truth for one's own data, many architectures trained at once.

K architectures are one stack, so one training loop trains them all; each keeps its own initialisation, BatchNorm
statistics and gradients, while all see the same images in the same order. The recipe is SGD with Nesterov momentum and
a one-cycle learning rate (Smith and Topin, 2018, arXiv 1708.07120).
Finished stacks are committed one by one: repeating the command continues, more seeds or architectures extend the work.
"""

from pathlib import Path

from benchmarks.errors import Parser, carry_out
from benchmarks.files.sources import data_folder
from benchmarks.spaces.settings import settings_from
from harness.cli.options import add_options
from harness.training.recipe import Recipe


def main(argv: list[str] | None = None) -> int:
    """Train; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    line = Parser(prog="python -m harness.train", description=(__doc__ or "").split("\n\n")[0])
    add_options(line, Recipe)
    add = line.add_argument
    add("--network", default="", help="such as channels=8,modules=1 (default: the space's reduced ones)")
    add("--sample", type=int, default=100, help="distinct architectures, drawn uniformly (default 100)")
    add("--seeds", type=int, default=3, help="trainings of each architecture (default 3)")
    add("--stack", type=int, default=32, help="architectures trained at once in one process (default 32)")
    add("--workers", type=int, default=2, help="processes (default 2)")
    add("--data", type=Path, help="folder of ground truth and images (default: NAS_HARNESS_DATA)")
    add("--device", default="cpu", help="cpu (default), auto, cuda or cuda:N")
    add("--out", type=Path, required=True, help="folder of the work and of the finished table.h5")
    options = vars(line.parse_args(argv))
    out, data, network = (options.pop(name) for name in ("out", "data", "network"))
    how = {name: options.pop(name) for name in ("sample", "seeds", "stack", "workers", "device")}

    def action() -> None:
        from harness.training.loop import train

        recipe = Recipe(**options, network=settings_from(network))
        print(f"wrote {train(out, recipe, folder=data_folder(data), **how)}")

    stopped = f"stopped; finished stacks are kept in {out}: repeat the command to continue"
    return carry_out("harness.train", action, stopped)
