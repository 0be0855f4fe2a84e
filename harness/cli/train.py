"""`python -m harness.train`: ground truth for one's own data, many architectures trained at once.

K architectures are one stack, so one training loop trains them all; each keeps its own initialisation, BatchNorm
statistics and gradients, while all see the same images in the same order. The recipe is SGD with Nesterov momentum and
a one-cycle learning rate (Smith and Topin, 2018, arXiv 1708.07120).
Finished stacks are committed one by one: repeating the command continues, more seeds or architectures extend the work.
"""

from pathlib import Path

from benchmarks.errors import carry_out
from benchmarks.files.sources import data_folder
from benchmarks.spaces.settings import settings_from
from harness.cli.options import Line, add_options, back, hidden, keep_config, popped, whole
from harness.training.recipe import Recipe

RENAMED = {"epochs": "train_epochs"}
"""Field -> its option, where its own name means something else in other commands."""


def parser() -> Line:
    """Return the command line."""
    line = Line("train", "Ground truth for your own data: many architectures trained at once, as one stack.")
    add_options(line, Recipe, renamed=RENAMED)
    add = line.option
    hidden(line, "network", "network_settings")
    add("--network-settings", default="", help="such as channels=8,modules=1 (default: the space's reduced ones)")
    add("--sample", type=int, default=100, help="distinct architectures, drawn uniformly (default 100)")
    add("--archs-file", type=Path, help="train those of this CSV file, column arch (runs.csv of a search), instead")
    add("--seeds", type=whole, default=3, help="trainings of each architecture (default 3)")
    add("--stack", type=int, default=32, help="architectures trained at once in one process (default 32)")
    add("--workers", type=int, default=2, help="processes (default 2)")
    add("--data", type=Path, help="folder of ground truth and images (default: NAS_HARNESS_DATA)")
    add("--device", default="cpu", help="cpu (default), auto, cuda or cuda:N")
    add("--out", type=Path, required=True, help="folder of the work and of the finished table.h5")
    return line


def main(argv: list[str] | None = None) -> int:
    """Train; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)
    config_file = dict(options)
    options = back(options, RENAMED)
    out, data, network, archs = (options.pop(name) for name in ("out", "data", "network_settings", "archs_file"))
    how = popped(options, ("sample", "seeds", "stack", "workers", "device"))

    def action() -> None:
        from harness.training.loop import read_archs, train

        recipe = Recipe(**options, network=settings_from(network))
        made = train(out, recipe, folder=data_folder(data), archs=read_archs(archs) if archs else (), **how)
        keep_config(out, "train", config_file)
        print(f"wrote {made}")

    stopped = f"stopped; finished stacks are kept in {out}: repeat the command to continue"
    return carry_out("nas-harness train", action, stopped)
