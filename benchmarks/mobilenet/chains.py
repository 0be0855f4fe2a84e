"""Architectures of the two MobileNet-like spaces: their strings, their layers, parameters and FLOPs.

    proxyless   ids of 21 layers, `0 2 0 4 ...`: 2 * (3x3, 5x5, 7x7) + (expansion 3, 6), -1 an identity, which is
                allowed where the shape stays. The space of Zero-Cost-PT and FreeDARTS, after ProxylessNAS (Cai, Zhu
                and Han 2019, arXiv 1812.00332)
    mnasnet     seven blocks, `e6k3l1 e4k5l2se ...`: expansion 1, 4 or 6, kernel 3 or 5, 1 to 3 layers (block 6: up to
                4), `se` with squeeze-and-excitation. The space of Accel-NASBench (arXiv 2404.08005), after MnasNet

Both are chains of mobile blocks between a stem (3x3 convolution of stride 2) and a head (1x1 convolution).
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.errors import UserError, listed

KERNELS, EXPANSIONS, IDENTITY = (3, 5, 7), (3, 6), -1
IDS = range(IDENTITY, len(KERNELS) * len(EXPANSIONS))
OPERATIONS = (*(f"mb{kernel}_e{expansion}" for kernel in KERNELS for expansion in EXPANSIONS), "identity")
"""By id; the identity last."""
BLOCK = re.compile(r"e([146])k([35])l([1-4])(se)?")
MNASNET_LAYERS = (3, 3, 3, 3, 3, 4, 3)
"""Layers of each block, at most."""


class Block(NamedTuple):
    """A mobile block."""

    kernel: int
    expansion: int
    squeezed: int = 0
    """Channels of its squeeze-and-excitation; 0 is none."""


@dataclass(frozen=True)
class Frame:
    """What all architectures of a kind share: stem, positions of the chain, head."""

    kind: str
    stem: int
    first: int | None
    """Channels that a fixed first block (3x3, expansion 1) leads to, if there is one."""
    positions: tuple[tuple[int, int, int], ...]
    """(channels in, channels out, stride) of each position; an identity may stand where they are equal and 1."""
    head: int
    relu6: bool


def _positions(inside: int, stages: Sequence[tuple[int, int, int]]) -> tuple[tuple[int, int, int], ...]:
    """Return the shapes of stages (channels, layers, stride of the first)."""
    shapes = []
    for channels, layers, stride in stages:
        shapes.append((inside, channels, stride))
        shapes += [(channels, channels, 1)] * (layers - 1)
        inside = channels
    return tuple(shapes)


PROXYLESS = Frame(
    "proxyless", 40, 24,
    _positions(24, ((32, 4, 2), (56, 4, 2), (112, 4, 2), (128, 4, 1), (256, 4, 2), (432, 1, 1))), 1728, True,
)  # fmt: skip
MNASNET = Frame(
    "mnasnet", 32, None,
    _positions(32, tuple(zip((16, 24, 40, 80, 112, 192, 320), MNASNET_LAYERS, (1, 2, 2, 2, 1, 2, 1), strict=True))),
    1280, False,
)  # fmt: skip
FIXED = Block(3, 1)
"""The first block of `proxyless`."""


class Chain(NamedTuple):
    """An architecture: the block at each position of its frame, None where it is an identity."""

    frame: Frame
    blocks: tuple[Block | None, ...]


def may_idle(frame: Frame, position: int) -> bool:
    """Whether an identity may stand at a position."""
    inside, outside, stride = frame.positions[position]
    return inside == outside and stride == 1


def parse_chain(text: str) -> Chain:
    """Return the architecture of a string; UserError says what is wrong with it."""
    words = text.split()
    if words and all(re.fullmatch(r"-?[0-9]", word) for word in words):
        return _proxyless([int(word) for word in words], text)
    if not words or not all(BLOCK.fullmatch(word) for word in words):
        raise UserError(
            f"'{text[:100]}' is no MobileNet-like architecture; expected ids of 21 layers (0 2 0 -1 ...) or"
            " seven blocks (e6k3l1 e4k5l2se ...)"
        )
    return _mnasnet(words, text)


def _proxyless(ids: Sequence[int], text: str) -> Chain:
    if len(ids) != len(PROXYLESS.positions):
        raise UserError(f"'{text[:100]}': {len(ids)} layers; expected {len(PROXYLESS.positions)} ids, -1 to 5")
    wrong = [f"layer {at}: {each}" for at, each in enumerate(ids)
             if each not in IDS or (each == IDENTITY and not may_idle(PROXYLESS, at))]  # fmt: skip
    if wrong:
        raise UserError(f"'{text[:100]}': {listed(wrong)}; ids are 0 to 5, and -1 where the shape stays")
    return Chain(PROXYLESS, tuple(block_of(each) for each in ids))


def block_of(number: int) -> Block | None:
    """Return the block of an id of `proxyless`."""
    if number == IDENTITY:
        return None
    return Block(KERNELS[number // len(EXPANSIONS)], EXPANSIONS[number % len(EXPANSIONS)])


def _mnasnet(words: Sequence[str], text: str) -> Chain:
    if len(words) != len(MNASNET_LAYERS):
        raise UserError(f"'{text[:100]}': {len(words)} blocks; expected {len(MNASNET_LAYERS)}")
    blocks: list[Block | None] = []
    starts = itertools.accumulate(MNASNET_LAYERS, initial=0)
    for number, (word, most, start) in enumerate(zip(words, MNASNET_LAYERS, starts, strict=False)):
        expansion, kernel, layers, squeeze = BLOCK.fullmatch(word).groups()  # type: ignore[union-attr]
        if int(layers) > most:
            raise UserError(f"'{text[:100]}': {layers} layers in block {number + 1}; it has at most {most}")
        for at in range(start, start + int(layers)):
            squeezed = MNASNET.positions[at][0] // 4 if squeeze else 0
            blocks.append(Block(int(kernel), int(expansion), squeezed))
        blocks += [None] * (most - int(layers))
    return Chain(MNASNET, tuple(blocks))


def canonical(text: str) -> str:
    """Return the string of the network: in each stage of `proxyless` the identities last."""
    chain = parse_chain(text)
    if chain.frame is not PROXYLESS:
        return " ".join(text.split())
    ids = [int(word) for word in text.split()]
    starts = [at for at in range(len(ids)) if not may_idle(PROXYLESS, at)] + [len(ids)]
    ordered = [sorted(ids[a:b], key=IDENTITY.__eq__) for a, b in itertools.pairwise(starts)]
    return " ".join(str(each) for stage in ordered for each in stage)


class Size(NamedTuple):
    """Of one network or a part of it."""

    params: int
    flops: int
    tensors: int
    published: int = 0
    """What Accel-NASBench adds to multiply-accumulates: its counter sees BatchNorm and pooling."""


def conv_bn_size(weights: int, outside: int, side: int) -> Size:
    """Return the size of a convolution without bias and its BatchNorm; `side` is that of the output."""
    return Size(weights + 2 * outside, weights * side**2, 3, 4 * outside * side**2)


def block_size(block: Block | None, inside: int, outside: int, stride: int, side: int) -> Size:
    """Return the size of a block; `side` is that of its input."""
    if block is None:
        return Size(0, 0, 0)
    hidden, after = inside * block.expansion, -(-side // stride)
    parts = [conv_bn_size(inside * hidden, hidden, side)] if block.expansion > 1 else []
    parts += [conv_bn_size(block.kernel**2 * hidden, hidden, after), conv_bn_size(hidden * outside, outside, after)]
    if s := block.squeezed:
        weights = 2 * hidden * s
        parts.append(Size(weights + s + hidden, weights + s + hidden, 4, hidden * (after**2 + 1) - s - hidden))
    return Size(*map(sum, zip(*parts, strict=True)))


def chain_size(chain: Chain, classes: int, input_channels: int, resolution: int) -> Size:
    """Return the size of a network. FLOPs are multiply-accumulates of convolutions, squeeze-and-excitation and the
    classifier, biases included, for one image."""
    frame, side = chain.frame, -(-resolution // 2)
    parts = [conv_bn_size(9 * input_channels * frame.stem, frame.stem, side)]
    if frame.first is not None:
        parts.append(block_size(FIXED, frame.stem, frame.first, 1, side))
    for block, (inside, outside, stride) in zip(chain.blocks, frame.positions, strict=True):
        parts.append(block_size(block, inside, outside, stride, side))
        side = -(-side // stride)
    last = frame.positions[-1][1]
    parts.append(conv_bn_size(last * frame.head, frame.head, side))
    linear = (frame.head + 1) * classes
    parts.append(Size(linear, linear, 2, frame.head * (side**2 + 1) - classes))
    return Size(*map(sum, zip(*parts, strict=True)))


def random_proxyless(generator: np.random.Generator) -> str:
    """Return one of the 21-layer space, uniformly."""
    return " ".join(str(generator.integers(IDENTITY if may_idle(PROXYLESS, at) else 0, IDS.stop)) for at in range(21))


def edits(text: str) -> Iterator[str]:
    """Yield the strings of the space that differ in one id, or in one choice of one block."""
    words = text.split()
    for at, word in enumerate(words):
        if found := BLOCK.fullmatch(word):
            others = _block_edits(found.groups(""), MNASNET_LAYERS[at])
        else:
            others = [str(each) for each in IDS if each != IDENTITY or may_idle(PROXYLESS, at)]
        yield from (" ".join([*words[:at], other, *words[at + 1 :]]) for other in others if other != word)


def _block_edits(own: Sequence[str], most: int) -> list[str]:
    """Return the blocks that differ in expansion, kernel, layers or squeezing from that with these."""
    values = ("146", "35", "1234"[:most], ("", "se"))
    return [
        "e{}k{}l{}{}".format(*own[:place], value, *own[place + 1 :])
        for place, known in enumerate(values)
        for value in known
    ]
