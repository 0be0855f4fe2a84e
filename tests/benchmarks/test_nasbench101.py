"""The 101 space against the official code and real cells, its readers against files in the official form, its networks
against nasbench_pytorch."""

from __future__ import annotations

import base64
import json
import struct
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from test_tfrecord import framed

import benchmarks
from benchmarks import UserError, convert
from benchmarks.nasbench101.archive import read_npz
from benchmarks.nasbench101.arrays import LAST, as_arrays, fingerprints, vertex_channels
from benchmarks.nasbench101.cells import (
    OFFICIAL,
    OPERATIONS,
    Cell,
    graph_hash,
    parse_cell,
    print_cell,
    problem_of,
    pruned,
)
from benchmarks.nasbench101.enumerate import enumerate_cells
from benchmarks.nasbench101.files import read_official
from benchmarks.nasbench101.space import Space101
from benchmarks.spaces.layers import allocate
from benchmarks.table import Table, list_datasets, load_table
from harness.probe.initialise import initialise, stream

SUBSET = "nasbench101_subset.npz"
TRAINED = {"channels": 128, "stacks": 3, "modules": 3, "input_channels": 3, "classes": 10}
TINY = {"channels": 10, "stacks": 2, "modules": 2, "input_channels": 3, "classes": 5}
SOME = (
    "|01",
    "maxpool3x3|01,12",
    "conv3x3|01,02,12",
    "conv3x3,maxpool3x3|01,12,13,23",
    "conv3x3,conv1x1,maxpool3x3|01,02,04,13,14,23,34",
    "conv1x1,conv3x3,conv3x3,maxpool3x3,conv1x1|01,02,13,14,16,25,36,46,56",
    "conv3x3,conv3x3,conv1x1|01,02,03,14,24,34",
)


@cache
def read_once(path: Path) -> Table:
    """The table of the real cells; their hashes take a while to check."""
    return read_npz(path, complete=False)[0]


def random_graph(rng: np.random.Generator, vertices: int = 7) -> Cell:
    """Any labelled graph, valid or not."""
    pairs = list(combinations(range(vertices), 2))
    edges = tuple(pair for pair in pairs if rng.random() < rng.choice([0.2, 0.4, 0.6]))
    return Cell(tuple(rng.choice(OPERATIONS) for _ in range(vertices - 2)), edges)


def random_cells(n: int, seed: int) -> list[Cell]:
    """Valid pruned cells, most with few vertices left."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        graph = random_graph(rng, int(rng.integers(2, 8)))
        if not problem_of(graph):
            found.append(pruned(graph))
    return found


def matrix_of(cell: Cell) -> np.ndarray:
    matrix = np.zeros((cell.vertices, cell.vertices), dtype=int)
    for a, b in cell.edges:
        matrix[a, b] = 1
    return matrix


def official_operations(cell: Cell) -> list[str]:
    return ["input", *(OFFICIAL[OPERATIONS.index(operation)] for operation in cell.operations), "output"]


@pytest.fixture(scope="session")
def subset(real_data: Path) -> dict[str, np.ndarray]:
    if not (real_data / SUBSET).is_file():
        pytest.skip(f"no {SUBSET} in {real_data}")
    with np.load(real_data / SUBSET, allow_pickle=False) as archive:
        return dict(archive)


# --- cells ------------------------------------------------------------------------------------------------------------


def test_pruning_and_hash_agree_with_the_official_code():
    spec = pytest.importorskip("nasbench_pytorch.model.model_spec")
    rng, disconnected = np.random.default_rng(0), 0
    for _ in range(300):
        graph = random_graph(rng, int(rng.integers(2, 8)))
        ours = pruned(graph)
        if ours is None:
            disconnected += 1
            with pytest.raises(RuntimeError):  # the package's way of saying that nothing is left
                spec.ModelSpec(matrix_of(graph), official_operations(graph))
            continue
        theirs = spec.ModelSpec(matrix_of(graph), official_operations(graph))
        np.testing.assert_array_equal(theirs.matrix, matrix_of(ours))
        assert theirs.ops == official_operations(ours)
        theirs.matrix = theirs.matrix.numpy()
        assert graph_hash(ours) == theirs.hash_spec(list(OFFICIAL))
    assert 10 < disconnected < 290


def test_every_hash_of_the_real_cells(subset, real_data):
    """read_npz checks each cell's hash; one row is computed here from the archive as it lies."""
    table = read_once(real_data / SUBSET)
    assert len(table) == len(set(table.archs)) == 23_142
    best = 100 * (1 - subset["errors"][:, 1, 3].astype(float).mean(1)).max()
    assert table.target().max() == pytest.approx(best)
    assert "not a random sample" in table.source
    space = Space101(table.archs)
    assert len(set(space.class_id)) == 23_142
    params = space.sizes(resolution=32, **TRAINED)[0]
    assert params.max() == 49_979_274  # the largest of the whole benchmark


def test_printed_form():
    for text in SOME:
        assert print_cell(parse_cell(text)) == text
    assert parse_cell("conv3x3|01,02,12") == Cell(("conv3x3",), ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a form like"),
        ("conv3x3|01,02,12 ", "expected a form like"),
        ("conv3x3|01;12", "expected a form like"),
        ("conv3x4|01,12", "unknown NAS-Bench-101 operation: 'conv3x4' (did you mean conv3x3"),
        ("conv3x3|01,10", "edges lead from a lower to a higher vertex, 0 to 2"),
        ("conv3x3|01,13", "edges lead from a lower to a higher vertex, 0 to 2"),
        ("conv3x3|12,01", "in ascending order"),
        ("conv3x3|01,01,12", "named once each"),
        ("conv3x3|01", "no path leads from the input to the output"),
        ("conv3x3,conv1x1|01,02,13", "without them it is 'conv3x3|01,12'"),
        (",".join(["conv3x3"] * 6) + "|01,12,23,34,45,56,67", "8 vertices and 7 edges; at most 7 and 9"),
        ("conv3x3,conv3x3,conv3x3,conv3x3|01,02,03,04,05,15,25,35,45,12", "ascending"),
        ("conv3x3,conv3x3,conv3x3,conv3x3|01,02,03,04,05,12,15,25,35,45", "6 vertices and 10 edges"),
    ],
)
def test_what_is_no_cell(text, said):
    with pytest.raises(UserError) as error:
        parse_cell(text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_enumeration_has_the_published_counts():
    """The official generator's numbers of graphs by vertices; 6 and 7 (62,010 and 359,082) take longer."""
    for vertices, cells in ((2, 1), (3, 6), (4, 84), (5, 2_441)):
        found = list(enumerate_cells(vertices))
        assert len(found) == cells
        assert len({graph_hash(cell) for cell in found}) == cells
        assert all(cell.vertices == vertices and not problem_of(cell) and pruned(cell) == cell for cell in found)


def test_fingerprints_part_cells_as_the_official_hash_does():
    cells = random_cells(1_500, 1)
    marks = fingerprints(*as_arrays(cells)).tolist()
    pairs = set(zip(marks, map(graph_hash, cells), strict=True))
    assert len(pairs) == len({mark for mark, _ in pairs}) == len({text for _, text in pairs})
    assert 100 < len(pairs) < 1_500


# --- the space of a table ---------------------------------------------------------------------------------------------


def test_a_space_is_what_its_table_holds():
    space = Space101(SOME)
    assert len(space) == 7 and space.index("conv3x3|01,02,12") == 2
    assert space.index("conv1x1,conv3x3,maxpool3x3|01,02,04,13,23,24,34") == 4  # the same graph, numbered otherwise
    with pytest.raises(UserError, match="'conv1x1|01,12' is a NAS-Bench-101 cell, but not among the 7"):
        space.index("conv1x1|01,12")
    assert space.connected.all() and list(space.conv_count) == [0, 0, 1, 1, 2, 4, 3]
    assert list(space.class_id) == list(range(7))
    assert sorted(space.sample(7, 0)) == list(range(7)) and list(space.sample(7, 0)[:3]) == list(space.sample(3, 0))


def test_isomorphic_cells_of_a_table_are_one_network():
    space = Space101((*SOME, "conv1x1,conv3x3,maxpool3x3|01,02,04,13,23,24,34"))
    assert space.class_id[7] == 4 and space.canonical(7) == SOME[4]
    with pytest.raises(UserError, match="not a NAS-Bench-101 cell"):
        _ = Space101(("conv3x3|01,12", "conv3x3|01,13")).class_id


def test_neighbours_are_in_the_table():
    space = Space101([print_cell(cell) for vertices in (2, 3, 4) for cell in enumerate_cells(vertices)])
    for index in (3, 40):
        near = space.neighbours(index)
        assert near and index not in near
        pruned_away = [other for other in near if index not in space.neighbours(other)]
        assert all(space.cell(other).vertices < space.cell(index).vertices for other in pruned_away)


def test_extremes_of_the_official_parameter_counts():
    """The smallest and largest networks of the benchmark have 227,274 and 49,979,274 parameters."""
    largest = "conv3x3,conv3x3,conv3x3,conv3x3,conv3x3|01,02,03,04,12,23,34,45,56"
    smallest = ",".join(["maxpool3x3"] * 5) + "|01,12,16,23,26,34,36,45,56"
    params = Space101((largest, smallest)).sizes(resolution=32, **TRAINED)[0]
    assert list(params) == [49_979_274, 227_274]


# --- networks ---------------------------------------------------------------------------------------------------------


def build(cells, seed: int = 0, network=TINY):
    space = Space101([print_cell(cell) for cell in cells])
    stack = allocate(space.build(range(len(cells)), **network), "cpu")
    initialise(stack, [stream(seed, arch, "test") for arch in space.archs])
    return stack


@torch.no_grad()
def copy(stack, position: int, theirs):
    """Give nasbench_pytorch's network the weights of one architecture of a stack."""

    def take(ours, to) -> None:
        for layer, other in zip(ours, to, strict=True):
            for name, tensor in other.named_parameters():
                row, k = layer.owners.index(position), len(layer.owners)
                tensor.copy_(getattr(layer, name).unflatten(0, (k, -1))[row])

    take(stack.stem, theirs.layers[0].conv_bn_relu)
    for ours, other in zip(stack.body, list(theirs.layers)[1:], strict=True):
        if isinstance(ours, torch.nn.MaxPool2d):
            continue
        cell = ours.cells[position]
        for vertex, projection in cell.projections.items():
            take(projection, other.input_op[int(vertex)].conv_bn_relu)
        for vertex, operation in cell.operations.items():
            if isinstance(operation, torch.nn.Sequential):
                (inner,) = other.vertex_op[int(vertex)].children()
                take(operation, inner.conv_bn_relu)
    take([stack.classifier], [theirs.classifier])
    return theirs


def test_networks_equal_nasbench_pytorch():
    """Random cells at widths that do not divide evenly: same outputs from copied weights, same parameter counts."""
    model = pytest.importorskip("nasbench_pytorch.model.model")
    spec = pytest.importorskip("nasbench_pytorch.model.model_spec")
    cells = [*random_cells(40, 3), *map(parse_cell, SOME)]
    params = Space101([print_cell(cell) for cell in cells]).sizes(resolution=8, **TINY)[0]
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for start in range(0, len(cells), 16):
        some = cells[start : start + 16]
        stack = build(some)
        outputs = stack(x.repeat(1, len(some), 1, 1))
        assert outputs.shape == (3, len(some), 5)
        for position, cell in enumerate(some):
            theirs = model.Network(
                spec.ModelSpec(matrix_of(cell), official_operations(cell)), num_labels=5, stem_out_channels=10,
                num_stacks=2, num_modules_per_stack=2,
            )  # fmt: skip
            counted = sum(p.numel() for name, p in theirs.named_parameters() if not name.endswith(".a"))
            assert counted == params[start + position]  # `.a` is a placeholder's scalar that nothing uses
            torch.testing.assert_close(outputs[:, position], copy(stack, position, theirs)(x), rtol=1e-4, atol=1e-5)


def test_channels_equal_nasbench_pytorch():
    model = pytest.importorskip("nasbench_pytorch.model.model")
    for cell in random_cells(300, 4):
        ours = vertex_channels(as_arrays([cell])[0], 64, 128)[0]
        theirs = model.compute_vertex_channels(64, 128, matrix_of(cell))
        assert theirs == [*ours[: cell.vertices - 1], ours[LAST]]


def test_the_networks_own_counts():
    cells = random_cells(12, 5)
    space = Space101([print_cell(cell) for cell in cells])
    stack, counted = space.build(range(len(cells)), **TRAINED), np.zeros((3, len(cells)))

    def count(layer, _, output):
        for parameter in layer.parameters():
            counted[0, list(layer.owners)] += parameter.numel() / len(layer.owners)
            counted[2, list(layer.owners)] += 1
        if not isinstance(layer, torch.nn.BatchNorm2d):
            positions = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
            counted[1, list(layer.owners)] += layer.weight.numel() / len(layer.owners) * positions

    for layer in stack.modules():
        if hasattr(layer, "owners") and not isinstance(layer, torch.nn.ReLU):
            layer.register_forward_hook(count)
    stack.to("meta")(torch.empty(1, 3 * len(cells), 32, 32, device="meta"))
    same = space.class_id  # isomorphic cells are built as the first of them
    np.testing.assert_array_equal(counted, space.sizes(resolution=32, **TRAINED)[:, same])


def test_one_of_a_stack_is_the_stack_of_one_and_features():
    cells = [parse_cell(text) for text in SOME]
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    stack = build(cells)
    together = stack(x.repeat(1, len(cells), 1, 1))
    for position, cell in enumerate(cells):
        torch.testing.assert_close(build([cell])(x)[:, 0], together[:, position], rtol=1e-4, atol=1e-5)
    features = stack.features(x.repeat(1, len(cells), 1, 1))
    assert features.shape == (4, len(cells) * 20, 4, 4)
    modules = dict(stack.named_modules())
    assert stack.blocks() == ["stem", "body.0", "body.1", "body.3", "body.4"]
    assert all(name in modules for name in stack.blocks())


# --- files ------------------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def field(number: int, value) -> bytes:
    """One field of a protocol-buffer message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def metrics(arch: str, numbers: list[list[float]]) -> str:
    """ModelMetrics: start, halfway, end; numbers are [seconds, train, valid, test] of the latter two."""
    params = int(Space101((arch,)).sizes(resolution=32, **TRAINED)[0, 0])
    message = field(1, field(1, 0.0) + field(2, 0.0) + b"".join(field(i, 0.1) for i in (3, 4, 5)))
    for epoch, values in zip((54.0, 108.0), numbers, strict=True):
        inner = field(1, epoch) + b"".join(field(i, value) for i, value in enumerate(values, start=2))
        message += field(1, inner + field(6, b"/somewhere/model.ckpt-1"))
    return base64.b64encode(message + field(2, params) + field(3, 999.5)).decode()


def record(arch: str, epochs: int, repeat: int, changed: dict | None = None) -> bytes:
    cell = parse_cell(arch)
    value = 0.4 + len(arch) / 200 + epochs / 1000 + repeat / 10_000
    numbers = [[10.0 * epochs, value / 2, value / 3, value / 4], [20.0 * epochs, value, value - 0.1, value - 0.2]]
    row = {
        "hash": graph_hash(cell), "epochs": epochs, "matrix": "".join(map(str, matrix_of(cell).flatten())),
        "operations": ",".join(official_operations(cell)), "metrics": metrics(arch, numbers),
    }  # fmt: skip
    return json.dumps(list((row | (changed or {})).values())).encode()


FEW = SOME[1:5]


def write(path: Path, rows: list[bytes]) -> Path:
    path.write_bytes(b"".join(map(framed, rows)))
    return path


def full(archs=FEW) -> list[bytes]:
    return [record(arch, epochs, repeat) for repeat in range(3) for epochs in (4, 12, 36, 108) for arch in archs]


def test_an_official_file(tmp_path):
    path = write(tmp_path / "nasbench_full.tfrecord", full())
    seen = []
    final, half = read_official(path, complete=False, on_progress=lambda done, size: seen.append((done, size)))
    assert seen[-1] == (path.stat().st_size,) * 2
    assert (final.dataset, half.dataset) == ("cifar10", "cifar10-halfway")
    assert final.archs == half.archs == FEW
    assert final.splits == ("train", "valid", "test")
    assert final.epochs == (4, 12, 36, 108) and final.seeds == ("1", "2", "3")
    for row, arch in enumerate(FEW):
        for at, epochs in enumerate((4, 12, 36, 108)):
            for repeat in range(3):
                value = 0.4 + len(arch) / 200 + epochs / 1000 + repeat / 10_000
                end, halfway = final.accuracy[row, :, at, repeat], half.accuracy[row, :, at, repeat]
                np.testing.assert_allclose(end, [100 * value, 100 * value - 10, 100 * value - 20])
                np.testing.assert_allclose(halfway, [50 * value, 100 * value / 3, 25 * value])
                assert final.seconds_per_run[row, at, repeat] == 20 * epochs
                assert half.seconds_per_run[row, at, repeat] == 10 * epochs
    np.testing.assert_allclose(final.target(), final.accuracy[:, 2, 3].mean(1))


def test_only_the_last_budget(tmp_path):
    rows = [record(arch, 108, repeat) for arch in FEW for repeat in range(3)]
    final, _ = read_official(write(tmp_path / "nasbench_only108.tfrecord", rows), complete=False)
    assert final.epochs == (108,) and np.isfinite(final.accuracy).all()


def test_a_missing_training_is_a_gap(tmp_path):
    final, _ = read_official(write(tmp_path / "x.tfrecord", full()[:-1]), complete=False)
    assert np.isnan(final.accuracy[3, :, 3, 2]).all() and np.isnan(final.accuracy).sum() == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hash": "0" * 32}, "the hash 00000000000000000000000000000000 is not that of its cell"),
        ({"epochs": 100}, "100 epochs; expected 4, 12, 36, 108"),
        ({"epochs": [4]}, "[4] epochs"),
        ({"matrix": "0110"}, "do not belong together"),
        ({"matrix": 7}, "not strings"),
        ({"operations": "input,conv5x5,output"}, "unknown operations conv5x5"),
        ({"operations": "conv3x3-bn-relu,conv3x3-bn-relu,output"}, "do not belong together"),
        ({"matrix": "010000000"}, "no path leads"),
        ({"metrics": "?"}, "record 1 is none of NAS-Bench-101"),
        ({"metrics": ""}, "lack evaluations"),
        ({"metrics": base64.b64encode(b"\x0a\x7f").decode()}, "cut short"),
        ({"metrics": metrics("conv3x3|01,02,12", [[1.0, 0.1, 0.1, 0.1], [1.0, 0.1, 1.5, 0.1]])}, "hold 1.5 where"),
        ({"metrics": metrics("conv3x3|01,02,12", [[1.0, 0.1, 0.1], [1.0, 0.1, 0.1, 0.1]])}, "hold None where"),
        ({"metrics": metrics("conv1x1|01,12", [[1.0, 0.1, 0.1, 0.1]] * 2)}, "parameters of 1 cells are not those"),
        ({"extra": 1}, "expected a JSON list"),
    ],
)
def test_records_that_cannot_be_right(tmp_path, change, said):
    with pytest.raises(UserError) as error:
        read_official(write(tmp_path / "x.tfrecord", [record("conv3x3|01,02,12", 108, 0, change)]), complete=False)
    assert said in str(error.value) and str(error.value).startswith(f"{tmp_path / 'x.tfrecord'}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"a": 1}', b"null", b"[" * 10_000])
def test_records_that_are_no_json_list(tmp_path, data):
    with pytest.raises(UserError, match="record 2 is none of NAS-Bench-101"):
        read_official(write(tmp_path / "x.tfrecord", [record(FEW[0], 4, 0), data]), complete=False)


def test_four_trainings_and_incomplete_files(tmp_path):
    with pytest.raises(UserError, match="record 4 is none of NAS-Bench-101: a fourth training of one cell"):
        read_official(write(tmp_path / "x.tfrecord", [record(FEW[0], 108, 0)] * 4), complete=False)
    with pytest.raises(UserError, match="1 of 423,624 cells are there"):
        read_official(write(tmp_path / "x.tfrecord", [record(FEW[0], 108, 0)] * 3))
    with pytest.raises(UserError, match="no records"):
        read_official(write(tmp_path / "x.tfrecord", []), complete=False)


def test_the_command_converts_and_opens(tmp_path, capsys):
    path = write(tmp_path / "nasbench_only108.tfrecord", full())
    with pytest.raises(UserError, match=f"convert it once: python -m benchmarks.convert {path}"):
        benchmarks.load("101", data=tmp_path)
    assert convert.main([str(path), "--quiet"]) == 2
    assert "4 of 423,624 cells are there" in capsys.readouterr().err
    assert convert.main([str(path), "--quiet", "--partial"]) == 0
    assert list_datasets(tmp_path / "nasbench101.h5") == ("cifar10", "cifar10-halfway")
    opened = benchmarks.load("101", data=tmp_path)
    assert opened.space.archs == FEW and list(opened.indices) == [0, 1, 2, 3]
    assert opened.network == {**TRAINED, "classes": 10} and opened.resolution == 32
    assert benchmarks.load("101", "cifar10-halfway", tmp_path).table.dataset == "cifar10-halfway"


def test_files_given_to_the_wrong_reader(tmp_path, capsys):
    path = write(tmp_path / "nasbench_only108.tfrecord", full())
    for bench, title in (("201", "NAS-Bench-201"), ("macro", "NAS-Bench-Macro")):
        assert convert.main([str(path), "--bench", bench, "--quiet"]) == 2
        assert f"a TFRecord file, which is no form of {title}" in capsys.readouterr().err
    pickle = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    pickle.write_bytes(b"PK\x03\x04" + b"\0" * 60)
    assert convert.main([str(pickle), "--bench", "101", "--quiet"]) == 2
    assert "a pickle or archive, which is no form of NAS-Bench-101" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-3])
    assert convert.main([str(path), "--quiet", "--partial"]) == 2
    assert "is cut short; the file is truncated" in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted((path.name, pickle.name))


def archive(n: int = 3) -> dict[str, np.ndarray]:
    cells = [parse_cell(text) for text in SOME[2 : 2 + n]]
    matrix, ops = np.zeros((n, 7, 7), dtype=np.int8), np.zeros((n, 7), dtype=np.int8)
    for row, cell in enumerate(cells):
        matrix[row, : cell.vertices, : cell.vertices] = matrix_of(cell)
        ops[row, : cell.vertices] = [-1, *(OPERATIONS.index(operation) for operation in cell.operations), -2]
    errors = np.full((n, 2, 4, 3), 0.25) + np.arange(n)[:, None, None, None] / 10
    return {"matrix": matrix, "ops": ops, "errors": errors, "hash": np.array(list(map(graph_hash, cells)))}


def test_an_archive_of_cells(tmp_path, capsys):
    np.savez(tmp_path / "mine.npz", **archive())
    assert convert.main([str(tmp_path / "mine.npz"), "--bench", "101", "--partial", "--quiet"]) == 0
    table = load_table(tmp_path / "nasbench101.h5", "cifar10")
    assert table.archs == SOME[2:5]
    np.testing.assert_allclose(table.target(), [75, 65, 55])
    np.testing.assert_allclose(table.target("valid", 12), [75, 65, 55])


def test_an_archive_of_validation_errors_of_one_training(tmp_path):
    content = archive()
    content["valid_error"] = content.pop("errors")[:, 0, :, 0].astype(np.float32)
    np.savez(tmp_path / "mine.npz", **content)
    table = read_npz(tmp_path / "mine.npz", complete=False)[0]
    assert table.splits == ("valid",) and len(table.seeds) == 1 and "random" not in table.source
    np.testing.assert_allclose(table.target("valid", 108), [75, 65, 55], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"errors": None}, "lacks errors"),
        ({"errors": None, "valid_error": np.zeros((3, 3))}, "errors is float64 of shape (3, 1, 3, 1)"),
        ({"errors": np.zeros((3, 2, 4))}, "errors is float64 of shape (3, 2, 4)"),
        ({"ops": np.zeros((3, 6))}, "ops is float64 of shape (3, 6)"),
        ({"ops": np.zeros((3, 7))}, "3 rows are no cells"),
        ({"matrix": np.zeros((3, 7, 7))}, "3 rows are no cells"),
        ({"matrix": np.array("x")}, "matrix is"),
        ({"hash": np.array(["0"] * 3)}, "hash is not that of the cell in 3 rows"),
        ({"hash": np.array(["0"])}, "hash has the shape (1,)"),
        ({"errors": np.full((3, 2, 4, 1), 1.5)}, "accuracies outside 0..100"),
        ({"matrix": np.array([{"a": 1}] * 3, dtype=object)}, "not a NumPy archive of plain arrays"),
    ],
)
def test_archives_that_cannot_be_right(tmp_path, change, said):
    content = {name: value for name, value in (archive() | change).items() if value is not None}
    np.savez(tmp_path / "mine.npz", **content)
    with pytest.raises(UserError) as error:
        read_npz(tmp_path / "mine.npz", complete=False)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_spellings_of_a_cell():
    """Printed by others: isomorphic, with vertices on no path, with official names, in NASLib's numbers, by MD5."""
    cell = "maxpool3x3,conv1x1,conv3x3|01,02,13,24,34"
    space = Space101(["conv3x3|01,12", cell])
    swapped = "conv1x1,maxpool3x3,conv3x3|01,02,14,23,34"
    loose = "maxpool3x3,conv1x1,conv3x3,conv1x1|01,02,04,13,25,35"
    matrix = [[0] * 5 for _ in range(5)]
    for source, target in ((0, 1), (0, 2), (1, 3), (2, 4), (3, 4)):
        matrix[source][target] = 1
    numbers = tuple(bit for row in matrix for bit in row) + (0, 2, 3, 4, 1)
    official = cell.replace("conv1x1", "conv1x1-bn-relu").replace("conv3x3", "conv3x3-bn-relu")
    for text in (
        cell,
        f" {cell}",
        swapped,
        loose,
        official,
        str(numbers),
        str(list(numbers)),
        graph_hash(parse_cell(cell)),
    ):
        assert space.locate(text) == 1, text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0" * 32, "is an MD5, of no cell among the 1 at hand"),
        ("(0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0)", "expected a matrix, row by row, and its labels"),
        ("(0, 1)", "expected a matrix"),
        ("conv5x5-bn-relu|01,12", "unknown NAS-Bench-101 operation: 'conv5x5'"),
        ("conv3x3|01", "no path leads from the input to the output"),
        ("conv3x3|01,21", "edges lead from a lower to a higher vertex"),
        ("x", "is not a NAS-Bench-101 cell"),
    ],
)
def test_what_is_no_spelling_of_a_cell(text, said):
    with pytest.raises(UserError) as error:
        Space101(["conv3x3|01,12"]).locate(text)
    assert said in str(error.value)
