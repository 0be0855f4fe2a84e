"""The settings of a comparison of operation scores."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.options import option, problems
from harness.proxies.registry import Proxy, registry

ORDERS = ("fixed", "reverse", "random", "global-operation", "global-edge", "global-operation-once", "global-edge-once")
"""In which edges may be decided; `harness.operations.decide` says what they are."""


@dataclass(frozen=True)
class OperationsConfig:
    """Which scores on which benchmark, an option of the command line each; UserError names all that is wrong."""

    bench: str = option(help="benchmark of operations on edges")
    scores: str = option("default", help="default, table, trained, all, or names separated by commas")
    reference: str | None = option(None, help="score that others are compared with (default: best-acc@trials if there)")
    dataset: str | None = option(None, help="of the ground truth (default: the first there is, or the embedded digits)")
    split: str | None = option(
        None, help="accuracy that judges results: test (default; valid where the table has no test), valid, train"
    )
    epochs: int | None = option(None, help="training budget of that accuracy (default: the largest)")
    seeds: int = option(1, help="seeds of weights, architecture parameters and minibatches", least=1, most=10_000)
    first_seed: int = option(0, help="the first of them", least=0)
    batch_size: int = option(64, help="samples in a minibatch (default 64; the papers have 256)", least=2)
    inputs: str = option("images", help="images (default), gaussian, an .npz file or a folder of images")
    resolution: int | None = option(
        None, help="side in pixels that minibatches are resized to (default: as the networks were trained)", least=1
    )
    augment: bool = option(False, help="random flip and crop of the images, as in the papers' searches")
    along: bool = option(False, help="zc-pt, disc-zc, tenas: at each step of a search in fixed order; trained scores:"
                         " the cells of their searches after each kept epoch of the training")  # fmt: skip
    network: str = option("", help="settings of the networks: channels=8,cells_per_stage=1 (default: the table's)")
    supernet: str | None = option(None, help="trained supernets: a checkpoint, or the folder supernets/ of a result")
    supernet_epochs: int = option(50, help="epochs of training a supernet, where a score needs it", least=1)
    supernet_keep: str = option("", help="epochs, by commas, whose supernets are kept beside the last: 10,25 makes"
                                " supernets/epoch10 and epoch25")  # fmt: skip
    supernet_batch: int = option(64, help="samples in a minibatch of training", least=1)
    supernet_lr: float = option(0.025, help="learning rate of the weights", above=0)
    alpha_lr: float = option(3e-4, help="learning rate of the architecture parameters", above=0)
    supernet_images: int = option(0, help="images of training, both halves together; 0 (default): all", least=0)
    bilevel_order: int = option(1, help="order of DARTS: 1 (default), or 2", choices=(1, 2))
    held_out: int = option(16, help="minibatches a trained supernet is evaluated on, at most", least=1)
    statistics: str = option(
        "batch", help="BatchNorm's in that evaluation: batch (default), or running", choices=("batch", "running")
    )
    data: str | None = option(None, help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA)")
    device: str = option("auto", help="auto (default), cpu, cuda", choices=("auto", "cpu", "cuda"))

    def __post_init__(self) -> None:
        wrong = problems(self)
        if self.supernet and not Path(self.supernet).exists():
            wrong.append(f"--supernet {self.supernet}: there is no such file or folder")
        if self.supernet and Path(self.supernet).is_file() and self.seeds > 1:
            wrong.append(f"--supernet {self.supernet} is the checkpoint of one seed: leave --seeds out")
        if self.supernet and self.supernet_keep:
            wrong.append("--supernet-keep is for a training: with --supernet leave it out")
        words = self.supernet_keep.split(",") if self.supernet_keep else []
        if off := [word for word in words if not (word.strip().isdecimal() and 0 < int(word) <= self.supernet_epochs)]:
            wrong.append(f"--supernet-keep '{off[0]}': expected epochs from 1 to {self.supernet_epochs}, by commas")
        if wrong:
            raise UserError("; ".join(wrong))

    @property
    def kept_epochs(self) -> list[int]:
        """The epochs of `supernet_keep`."""
        return [int(word) for word in self.supernet_keep.split(",")] if self.supernet_keep else []


def usable(name: str) -> Proxy:
    """Return a proxy of the registry that can score operations; UserError for counts and for several minibatches."""
    entry = registry()[name]
    if entry.static or entry.view.minibatches > 1:
        why = "counts the string" if entry.static else "needs several minibatches"
        raise UserError(f"the proxy {name} {why}: it cannot score operations of a supernet")
    return entry
