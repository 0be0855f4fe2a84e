"""Gradients of each sample's outputs with respect to the first entry of each parameter tensor, and of no other entry.

Samples must not be coupled by batch statistics. Then one backward over the activations for each output gives all
samples' gradients. A convolution's first entry (output and input channel 0, row and column 0 of the kernel) takes one
channel of the layer's input and one of its output's gradient, so no gradient of a whole weight is formed.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from harness.probe.layer_rules import refuse_coupled, rule_of
from harness.probe.layers import by_sample, owners_of
from harness.probe.probe import Probe
from harness.probe.twin import Twin


class LeadingWeights:
    """Gathers the gradients of one probe; made and read by `output_gradients`."""

    def __init__(self, probe: Probe, limit: int) -> None:
        self.probe = probe
        self.counts = [0] * probe.archs
        """Tensors taken of each architecture."""
        self.columns: dict[nn.Module, dict[str, Tensor]] = {}
        """Module -> name of a tensor -> (3, entries): place among the module's owners, owner, column."""
        self.roots: list[Tensor] = []
        """Parameters where a backward ends: their module's input does not depend on any other."""
        self.row = torch.zeros(0)
        """(archs, samples, limit): where the gradients of the running backward go."""
        self.rest: list[tuple[str, nn.Parameter, int]] = []
        """Name, parameter and column of tensors of a user's module whose gradient does not follow from a rule."""
        for path, module in probe.network.named_modules():
            for name, parameter in module.named_parameters(recurse=False):
                if isinstance(probe.network, Twin) and not _ruled(module, name):
                    if self.counts[0] < limit:
                        self.rest.append((f"{path}.{name}", parameter, self.counts[0]))
                        self.counts[0] += 1
                    continue
                entries = []
                for place, owner in enumerate(owners_of(module)):
                    if self.counts[owner] < limit:
                        entries.append((place, owner, self.counts[owner]))
                        self.counts[owner] += 1
                if entries:
                    self.columns.setdefault(module, {})[name] = torch.tensor(entries, device=probe.inputs.device).T
        self.roots += [parameter for _, parameter, _ in self.rest]
        for module in self.columns:
            if not _ruled(module, "weight"):
                raise TypeError(f"gradients of single entries are not known for a {type(module).__name__}")

    def forward_hook(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Forward hook: keep the one channel of the input that is needed when the gradient of the output arrives."""
        if not output.requires_grad:
            return
        if not inputs[0].requires_grad:
            self.roots.append(next(module.parameters(recurse=False)))
        rule = rule_of(module)
        x = by_sample(inputs[0].detach(), len(self.probe.inputs), rule.axis(module))
        output.register_hook(partial(self.arrive, module, rule.leading_input(module, x, output)))

    def arrive(self, module: nn.Module, kept: Tensor, gradient: Tensor) -> None:
        """Add what a module's tensors get from one use of it."""
        rule = rule_of(module)
        gradient = by_sample(gradient, len(self.probe.inputs), rule.axis(module))
        channel = rule.leading_gradient(module, gradient).detach().double()  # (samples, owners, places)
        for name, entries in self.columns[module].items():
            values = (channel * kept if name == "weight" else channel).sum(2)
            place, owner, column = entries
            self.row.transpose(1, 2).index_put_((owner, column), values[:, place].T, accumulate=True)

    def push(self, found: Tensor) -> None:
        """Fill the columns of the other tensors, (classes - 1, archs, samples, limit): each by a forward in forward
        mode, with a tangent of one in its first entry."""
        inputs = self.probe.inputs
        for name, parameter, column in self.rest:
            tangent = torch.zeros_like(parameter)
            tangent.view(-1)[0] = 1
            with torch.no_grad(), forward_ad.dual_level():
                dual = forward_ad.make_dual(parameter.detach(), tangent)
                outputs = torch.func.functional_call(self.probe.network, {name: dual}, (inputs.clone(),))
                moved = forward_ad.unpack_dual(outputs).tangent
                if moved is not None:
                    found[:, 0, :, column] = (moved[:, :-1] - moved[:, -1:]).T.double()


def _ruled(module: nn.Module, name: str) -> bool:
    rule = rule_of(module)
    return rule.leading and rule.knows(module) and name in ("weight", "bias")


def output_gradients(probe: Probe, limit: int) -> tuple[Tensor, list[int], Tensor]:
    """Return gradients (archs, samples, classes - 1, limit) float64, the tensors of each architecture, and the outputs.

    Class c's gradient is of output c minus the last output: all that a softmax depends on. Columns are an
    architecture's first `limit` tensors in module order, zeros beyond its number and where no path leads. Outputs are
    (samples, archs, classes). Cost: a forward, and a backward over the activations for each class but one; of a user's
    module a forward in forward mode for each tensor that no rule knows. ValueError where samples are coupled by batch
    statistics, TypeError for modules of a stack of a kind whose gradient does not follow from its input.
    """
    refuse_coupled(probe.network)
    leading = LeadingWeights(probe, limit)
    parameters = [(p, p.requires_grad) for p in probe.network.parameters()]
    handles = [module.register_forward_hook(leading.forward_hook) for module in leading.columns]
    try:
        for parameter, _ in parameters:
            parameter.requires_grad_(True)
        outputs = probe.logits()
        samples, archs, classes = outputs.shape
        found = torch.zeros(classes - 1, archs, samples, limit, dtype=torch.float64, device=outputs.device)
        for c in range(classes - 1 if probe.has_gradient(outputs) else 0):
            leading.row = found[c]
            difference = (outputs[..., c] - outputs[..., -1]).sum()
            torch.autograd.grad(difference, leading.roots, retain_graph=True, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
        for parameter, before in parameters:
            parameter.requires_grad_(before)
    leading.push(found)
    return found.permute(1, 2, 0, 3), leading.counts, outputs.detach()
