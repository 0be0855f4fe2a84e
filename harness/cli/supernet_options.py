"""The options of supernets, which two command lines share: comparisons of scores, and searches."""

from __future__ import annotations

from benchmarks.command import Parser

STOPPED = "stopped; no results were written, trained epochs of supernets are kept: repeat the command to go on"


def add_training(line: Parser) -> None:
    """Add what fixes the networks and how supernets are trained; names are fields of OperationsConfig."""
    add = line.add_argument
    add(
        "--network",
        default="",
        help="sizes of the networks, such as channels=8,cells_per_stage=1 (default: the table's)",
    )
    add("--supernet", help="trained supernets: a checkpoint, or the folder supernets/ of an earlier result")
    add("--supernet-epochs", type=int, default=50, help="of training, where a score needs it (default 50)")
    add("--supernet-batch", type=int, default=64, help="samples in a minibatch of training (default 64)")
    add("--supernet-lr", type=float, default=0.025, help="learning rate of the weights (default 0.025)")
    add("--alpha-lr", type=float, default=3e-4, help="learning rate of the architecture parameters (default 0.0003)")
    add("--supernet-images", type=int, default=0, help="images of training, both halves together; 0 (default): all")
    add("--bilevel-order", type=int, default=1, help="of DARTS: 1 (default), or 2")
    add("--held-out", type=int, default=16, help="minibatches a trained supernet is evaluated on, at most (default 16)")
    add("--statistics", default="batch", help="BatchNorm's in that: batch (default), or running")
