"""Attention and recurrent layers written in linear layers, so that proxies see each projection as the layer it is.

`spell_out` turns the modules of a copy into these in place: `nn.MultiheadAttention`, whose packed projections become
three layers, `nn.LSTM`, `nn.GRU`, `nn.RNN` and their cells. Values are PyTorch's up to rounding.
"""

from typing import Any

import torch
from torch import Tensor, nn


def spell_out(network: nn.Module) -> None:
    """Rewrite the modules of a copy; subclasses, which may do something else, are left alone."""
    for module in list[Any](network.modules()):
        if type(module) is nn.MultiheadAttention:
            _attention(module)
        elif type(module) in (nn.LSTM, nn.GRU, nn.RNN):
            _recurrent(module)
        elif type(module) in (nn.LSTMCell, nn.GRUCell, nn.RNNCell):
            _cell(module)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer: Any = nn.Linear(1, 1, bias=bias is not None, device="meta")
    layer.in_features, layer.out_features = weight.shape[1], weight.shape[0]
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return layer


class SplitAttention(nn.MultiheadAttention):
    """Attention with projections `q_proj`, `k_proj`, `v_proj` and `out_proj`, each a linear layer."""

    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """As `nn.MultiheadAttention`."""
        single = query.dim() == 2
        if single:
            query, key, value = (each.unsqueeze(0) for each in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (each.transpose(0, 1) for each in (query, key, value))
        q, k, v = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        mask = _added(attn_mask, q)
        if mask is not None and mask.dim() == 3:
            mask = mask.unflatten(0, (-1, self.num_heads))
        padding = _added(key_padding_mask, q)
        k, v, mask, padding = self._extended(k, v, mask, padding)
        q, k, v = (each.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for each in (q, k, v))
        scores = (q / self.head_dim**0.5) @ k.transpose(2, 3)
        if mask is not None:
            scores = scores + mask
        if padding is not None:
            scores = scores + padding[:, None, None]
        weights = nn.functional.dropout(torch.softmax(scores, -1), self.dropout, self.training)
        out = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        weights = weights.mean(1) if average_attn_weights else weights
        if single:
            return out.squeeze(0), weights.squeeze(0) if need_weights else None
        return out if self.batch_first else out.transpose(0, 1), weights if need_weights else None

    def _extended(self, k: Tensor, v: Tensor, mask: Tensor | None, padding: Tensor | None) -> Any:
        """Append the learned and the zero row of keys and values, where the module has them."""
        rows: list[tuple[Tensor, Tensor]] = []
        if self.bias_k is not None:
            rows.append((self.bias_k, self.bias_v))  # type: ignore[arg-type]  # both or none
        if self.add_zero_attn:
            rows.append((k.new_zeros(1, 1, k.shape[2]), v.new_zeros(1, 1, v.shape[2])))
        for a, b in rows:
            k, v = torch.cat([k, a.expand(len(k), 1, -1)], 1), torch.cat([v, b.expand(len(v), 1, -1)], 1)
            mask, padding = (None if each is None else nn.functional.pad(each, (0, 1)) for each in (mask, padding))
        return k, v, mask, padding


def _added(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """Return a mask as what is added to scores; True means masked."""
    if mask is None or mask.is_floating_point():
        return mask
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(mask.bool(), -torch.inf)


def _attention(module: nn.MultiheadAttention) -> None:
    own, children = vars(module)["_parameters"], vars(module)["_modules"]
    packed = own["in_proj_weight"]
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    weights = packed.chunk(3) if packed is not None else [own[name] for name in names]
    bias = own["in_proj_bias"]
    biases = [None] * 3 if bias is None else bias.chunk(3)
    out = children.pop("out_proj")
    for name in ("in_proj_weight", "in_proj_bias", *names):
        own[name] = None
    module.__class__ = SplitAttention
    for name, weight, b in zip(("q_proj", "k_proj", "v_proj"), weights, biases, strict=True):
        module.add_module(name, _linear(weight, b))
    out.__class__ = nn.Linear
    module.add_module("out_proj", out)


def _lstm(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = (x + h).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(x: Tensor, h: Tensor, before: Tensor) -> Tensor:
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), h.chunk(3, -1)
    z = torch.sigmoid(xz + hz)
    return (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * before


def _step(mode: str, x: Tensor, hidden: nn.Linear, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the next state from what the input's layer gave: (h,), of LSTM (h, c)."""
    h = hidden(state[0])
    if mode == "LSTM":
        return _lstm(x, h, state[1])
    if mode == "GRU":
        return (_gru(x, h, state[0]),)
    return (torch.relu(x + h) if mode == "RNN_RELU" else torch.tanh(x + h),)


class Unrolled(nn.RNNBase):
    """A recurrent layer, step by step: `input_l0`, `hidden_l0` and so on are linear layers."""

    def flatten_parameters(self) -> None:
        """Nothing: there is no packed memory."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """As `nn.LSTM`, `nn.GRU` and `nn.RNN`; raises TypeError for packed sequences."""
        if not isinstance(input, Tensor):
            raise TypeError("packed sequences are not scored: pass padded ones")
        single = input.dim() == 2
        x = input.unsqueeze(0) if single else input if self.batch_first else input.transpose(0, 1)
        states = self._start(x, hx, single)
        ends = []
        for layer in range(self.num_layers):
            parts = []
            for back in range(1 + self.bidirectional):
                out, end = self._run(x, f"l{layer}" + "_reverse" * back, next(states), bool(back))
                parts.append(out)
                ends.append(end)
            x = torch.cat(parts, -1)
            if layer < self.num_layers - 1:
                x = nn.functional.dropout(x, self.dropout, self.training)
        last = [torch.stack(each) for each in zip(*ends, strict=True)]
        last = [each.squeeze(1) for each in last] if single else last
        out = x.squeeze(0) if single else x if self.batch_first else x.transpose(0, 1)
        return out, tuple(last) if self.mode == "LSTM" else last[0]

    def _start(self, x: Tensor, hx: Any, single: bool) -> Any:
        """Give the first state of each layer and direction."""
        count = self.num_layers * (1 + self.bidirectional)
        sizes = [self.proj_size or self.hidden_size, self.hidden_size][: 1 + (self.mode == "LSTM")]
        if hx is None:
            return iter([tuple(x.new_zeros(len(x), size) for size in sizes)] * count)
        given = hx if isinstance(hx, tuple) else (hx,)
        return zip(*(each.unsqueeze(1) if single else each for each in given), strict=True)

    def _run(self, x: Tensor, name: str, state: tuple[Tensor, ...], back: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        through = getattr(self, f"input_{name}")(x)
        project = getattr(self, f"projection_{name}", None)
        outputs = []
        for t in reversed(range(x.shape[1])) if back else range(x.shape[1]):
            state = _step(self.mode, through[:, t], getattr(self, f"hidden_{name}"), state)
            state = state if project is None else (project(state[0]), *state[1:])
            outputs.append(state[0])
        return torch.stack(outputs[::-1] if back else outputs, 1), state


def _recurrent(module: nn.RNNBase) -> None:
    own = dict(vars(module)["_parameters"])
    vars(module)["_parameters"].clear()
    module.__class__ = Unrolled
    vars(module)["_flat_weights"] = []
    for name, weight in own.items():
        kind, _, where = name.partition("_l")
        role = {"weight_ih": "input", "weight_hh": "hidden", "weight_hr": "projection"}.get(kind)
        if role:
            bias = own.get(f"{kind.replace('weight', 'bias')}_l{where}")
            module.add_module(f"{role}_l{where}", _linear(weight, bias))


class SpelledCell(nn.RNNCellBase):
    """One step of a recurrent layer, with the linear layers `input` and `hidden`."""

    mode: str
    input: nn.Linear
    hidden: nn.Linear

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """As `nn.LSTMCell`, `nn.GRUCell` and `nn.RNNCell`."""
        lstm = self.mode == "LSTM"
        if hx is None:
            hx = (input.new_zeros(*input.shape[:-1], self.hidden_size),) * (1 + lstm)
        state = _step(self.mode, self.input(input), self.hidden, hx if isinstance(hx, tuple) else (hx,))
        return state if lstm else state[0]


def _cell(module: Any) -> None:
    own = dict(vars(module)["_parameters"])
    vars(module)["_parameters"].clear()
    mode = {nn.LSTMCell: "LSTM", nn.GRUCell: "GRU"}.get(type(module)) or f"RNN_{module.nonlinearity.upper()}"
    module.__class__, vars(module)["mode"] = SpelledCell, mode
    module.add_module("input", _linear(own["weight_ih"], own["bias_ih"]))
    module.add_module("hidden", _linear(own["weight_hh"], own["bias_hh"]))
