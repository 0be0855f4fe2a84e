"""How a network is looked at, as data: initialisation, inputs, BatchNorm mode, precision, minibatches, repeats."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class View:
    """Two proxies with equal views share the network, its weights, the inputs and every pass."""

    init: str = "default"
    """A key of harness.probe.initialise.INITIALISATIONS; "default" keeps a module's own weights in `harness.score`."""
    inputs: str = "minibatch"
    """"minibatch" (the run's), "gaussian" noise of the same shape, or "ones" (one image)."""
    batchnorm: str = "train"
    """"train" (statistics of the minibatch), "one" (of each sample alone, as in batches of one), "eval" (running
    statistics) or "off" (BatchNorm is the identity)."""
    precision: str = "float32"
    """Or "float64"; "tf32" and "bfloat16" are modes of a run (harness.probe.precision)."""
    batch_size: int | None = None
    """Samples of noise or ones, or the first so many of the minibatch; None is the run's minibatch size."""
    minibatches: int = field(default=1, compare=False)
    """How many minibatches the proxy needs; does not make another view, as the other proxies leave the rest alone."""
    repeats: int = 1
    """Scores are the mean over this many draws of weights and noise."""
    objective: str = "loss"
    """What is differentiated: the cross-entropy "loss", or the "sum" of all outputs."""
    absolute_weights: bool = False
    """Every weight and bias replaced by its absolute value."""


DEFAULT = View()
"""One real minibatch, PyTorch's default initialisation, training-mode BatchNorm, float32."""
