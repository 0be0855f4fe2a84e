"""Inputs: what is read from which file, what is refused, and what a minibatch depends on."""

import os
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.errors import UserError
from harness.inputs.draw import (
    choose,
    draw_minibatches,
    flip_and_crop,
    gaussian_minibatches,
    load_images,
    minibatches,
    ones,
)
from harness.inputs.images import Images, make_images


def some_images(per_class=(30, 30, 30), side=8, channels=3) -> Images:
    labels = np.repeat(np.arange(len(per_class)), per_class)
    pixels = np.random.RandomState(0).randint(0, 256, (len(labels), channels, side, side)).astype(np.uint8)
    return make_images(pixels, labels, name="some", source="some images")


def cifar_content(images=20, classes=10, side=32, key="labels", first=0, seed=0) -> dict:
    generator = np.random.RandomState(seed)
    data = generator.randint(0, 256, (images, 3 * side * side)).astype(np.uint8)
    return {"data": data, key: [first + number % classes for number in range(images)]}


def python2_pickle(content: dict) -> bytes:
    """Pickle {str: uint8 matrix or list of int} as Python 2's cPickle did in 2009 (protocol 2).

    Byte strings for keys and pixels, NumPy's old module names, memo entries numbered from 1.
    """
    memo = iter(range(1, 256))

    def put() -> bytes:
        return b"q" + bytes([next(memo)])

    def text(value: bytes) -> bytes:
        short = len(value) < 256
        return (b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value))) + value + put()

    def whole(value: int) -> bytes:
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)

    def array(value: np.ndarray) -> bytes:
        made = b"cnumpy.core.multiarray\n_reconstruct\n" + put() + b"cnumpy\nndarray\n" + put()
        made += b"K\x00\x85" + text(b"b") + b"\x87R" + put()
        dtype = b"cnumpy\ndtype\n" + put() + text(b"u1") + b"K\x00K\x01\x87R" + put()
        dtype += b"(K\x03" + text(b"|") + b"NNN" + whole(-1) + whole(-1) + b"K\x00tb"
        shape = b"".join(whole(side) for side in value.shape) + b"\x86"
        return made + b"(K\x01" + shape + dtype + b"\x89" + text(value.tobytes()) + b"tb"

    items = b""
    for key, value in content.items():
        items += text(key.encode())
        items += b"](" + b"".join(map(whole, value)) + b"e" if isinstance(value, list) else array(value)
    return b"\x80\x02}" + put() + b"(" + items + b"u."


STYLES = {
    "python2": python2_pickle,
    "current-2": lambda content: pickle.dumps(content, protocol=2),
    "current-5": lambda content: pickle.dumps(content, protocol=5),
    "bytes-keys": lambda content: pickle.dumps({key.encode(): value for key, value in content.items()}),
    "old-names": lambda content: pickle.dumps(content, protocol=2).replace(b"numpy._core.multi", b"numpy.core.multi"),
}


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# --- official files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_cifar10_in_every_pickle_style(tmp_path, style):
    contents = [cifar_content(seed=1), cifar_content(seed=2)]
    for number, content in enumerate(contents, start=1):
        write(tmp_path / "cifar-10-batches-py" / f"data_batch_{number}", STYLES[style](content))
    write(tmp_path / "cifar-10-batches-py" / "test_batch", b"never read")
    images = load_images("cifar10-valid", tmp_path)  # as NAS-Bench-201 calls one of its targets: the same images
    expected = np.concatenate([content["data"] for content in contents]).reshape(-1, 3, 32, 32)
    assert np.array_equal(images.pixels, expected) and images.pixels.dtype == np.uint8
    assert type(images.pixels) is np.ndarray
    assert images.labels.tolist() == contents[0]["labels"] + contents[1]["labels"]
    assert images.classes == 10 and images.labels.dtype == np.int64
    assert images.mean == pytest.approx((125.3 / 255, 123.0 / 255, 113.9 / 255))
    assert "PARTIAL" in images.source and "40 images" in images.source and "2 files of 5" in images.source


@pytest.mark.parametrize("style", STYLES)
def test_cifar100_reads_the_fine_labels(tmp_path, style):
    content = cifar_content(images=120, classes=100, key="fine_labels") | {"coarse_labels": [0] * 120}
    write(tmp_path / "cifar-100-python" / "train", STYLES[style](content))
    images = load_images("CIFAR100", tmp_path)
    assert images.classes == 100 and images.labels.tolist() == content["fine_labels"]
    assert images.std == pytest.approx((68.2 / 255, 65.4 / 255, 70.4 / 255))


def test_imagenet16_keeps_the_first_120_classes(tmp_path):
    content = cifar_content(images=300, classes=150, side=16, first=1)
    for number in (1, 10):
        write(tmp_path / "ImageNet16" / f"train_data_batch_{number}", pickle.dumps(content))
    images = load_images("ImageNet16-120", tmp_path)
    assert images.shape == (3, 16, 16) and len(images) == 2 * 2 * 120 and images.classes == 120
    assert images.labels[:120].tolist() == list(range(120))
    assert np.array_equal(images.pixels[120], content["data"][150].reshape(3, 16, 16))
    assert images.mean[0] == pytest.approx(122.68 / 255)


def test_real_cifar10(real_data):
    images = load_images("cifar10", real_data)
    assert images.pixels.shape == (10_000, 3, 32, 32) and np.bincount(images.labels).tolist() == [1000] * 10
    assert images.pixels.mean(axis=(0, 2, 3)) / 255 == pytest.approx([0.493, 0.483, 0.447], abs=6e-4)
    with np.load(real_data / "images" / "cifar10_train_1024.npz") as first:
        assert np.array_equal(images.pixels[:1024], first["images"])
        assert np.array_equal(images.labels[:1024], first["labels"])


def test_small_files_stand_in_where_the_official_ones_are_absent(tmp_path, real_data):
    (tmp_path / "images").symlink_to((real_data / "images").resolve())
    sizes = {name: load_images(name, tmp_path) for name in ("cifar10", "cifar100", "imagenet16-120")}
    assert {name: len(images) for name, images in sizes.items()} == {
        "cifar10": 1024,
        "cifar100": 332,
        "imagenet16-120": 120,
    }
    assert sizes["cifar100"].classes == 100
    assert {name for name, images in sizes.items() if "SUBSTITUTE" in images.source} == {"imagenet16-120"}
    assert all("PARTIAL" in images.source for images in sizes.values())


def test_small_files_prefer_real_training_images(tmp_path):
    (tmp_path / "images").mkdir()
    for number, name in enumerate(["cifar10_standin", "cifar10-test", "cifar10-train", "cifar100_a", "cifar10x"]):
        pixels = np.full((2, 3, 32, 32), number, np.uint8)
        np.savez(tmp_path / "images" / f"{name}.npz", images=pixels, labels=np.array([0, 1]))
    assert "cifar10-train.npz" in load_images("cifar10", tmp_path).source
    (tmp_path / "images" / "cifar10-train.npz").unlink()
    assert "cifar10-test.npz" in load_images("cifar10", tmp_path).source


def test_nothing_found_says_where_what_and_how_large(tmp_path):
    with pytest.raises(UserError) as error:
        load_images("cifar10", tmp_path)
    said = str(error.value)
    for part in (str(tmp_path), "data_batch_1", "cifar-10-python.tar.gz", "170 MB", "--inputs gaussian"):
        assert part in said
    assert "packed" not in said and "\n" not in said
    (tmp_path / "cifar-10-python.tar.gz").touch()
    with pytest.raises(UserError, match="packed"):
        load_images("cifar10", tmp_path)
    with pytest.raises(UserError, match="no data folder was given.*--inputs gaussian"):
        load_images("imagenet16-120", None)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_hostile_pickle_is_refused_and_not_executed(tmp_path):
    canary = tmp_path / "canary"
    content = cifar_content() | {"extra": Hostile(canary)}
    write(tmp_path / "cifar-10-batches-py" / "data_batch_1", pickle.dumps(content))
    with pytest.raises(UserError, match="data_batch_1"):
        load_images("cifar10", tmp_path)
    assert not canary.exists()


BAD_FILES = {
    "truncated": (lambda: pickle.dumps(cifar_content())[:-400], "data_batch_1"),
    "empty": (lambda: b"", "data_batch_1"),
    "foreign": (lambda: b"not a pickle at all\n", "data_batch_1"),
    "list": (lambda: pickle.dumps([1, 2]), "expected a dictionary"),
    "no labels": (lambda: pickle.dumps({"data": cifar_content()["data"]}), "expected data and labels in it, got data"),
    "wrong side": (lambda: pickle.dumps(cifar_content(side=16)), r"expected data as uint8 \(images, 3072\).*768"),
    "floats": (lambda: pickle.dumps(cifar_content() | {"data": np.zeros((20, 3072))}), "got float64"),
    "too few labels": (lambda: pickle.dumps(cifar_content() | {"labels": [0] * 19}), "20 images but 19 labels"),
    "ragged labels": (lambda: pickle.dumps(cifar_content() | {"labels": [[0], [1, 2]]}), "list of whole numbers"),
    "no images": (lambda: pickle.dumps({"data": cifar_content()["data"][:0], "labels": np.arange(0)}), "whole numbers"),
    "label 10": (lambda: pickle.dumps(cifar_content(classes=11)), "label 10 is out of range"),
    "label -1": (lambda: pickle.dumps(cifar_content(first=-1)), "label -1 is out of range"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_unusable_official_files(tmp_path, kind):
    make, message = BAD_FILES[kind]
    write(tmp_path / "cifar-10-batches-py" / "data_batch_1", make())
    with pytest.raises(UserError, match=message) as error:
        load_images("cifar10", tmp_path)
    assert "\n" not in str(error.value)


def test_imagenet_label_zero_is_refused(tmp_path):
    write(tmp_path / "ImageNet16" / "train_data_batch_1", pickle.dumps(cifar_content(side=16, first=0)))
    with pytest.raises(UserError, match="label 0 is out of range"):
        load_images("imagenet16-120", tmp_path)


# --- digits, own files ------------------------------------------------------------------------------------------------


def test_digits():
    pytest.importorskip("sklearn")
    images = load_images("digits", None)
    assert images.pixels.shape == (1797, 1, 8, 8) and images.classes == 10
    assert images.pixels.min() == 0 and images.pixels.max() == 255
    inputs = draw_minibatches(images, batch_size=1797, count=1, seed=0)[0].inputs
    assert inputs.mean().item() == pytest.approx(0, abs=1e-5) and inputs.std().item() == pytest.approx(1, abs=1e-4)


def test_images_lie_in_memory_as_in_a_worker():
    """Defect: a stack of one network had other last digits in a worker: strides choose a convolution's kernel, those
    of one channel too."""
    here = load_images("digits", None)
    there = pickle.loads(pickle.dumps(here))
    lying = [draw_minibatches(each, batch_size=4, count=1, seed=0)[0].inputs.stride() for each in (here, there)]
    assert lying == [(64, 64, 8, 1)] * 2


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("pixels", "labels")])
def test_npz_layouts(tmp_path, names):
    pixels = np.random.RandomState(0).randint(0, 256, (6, 3, 9, 10)).astype(np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2], np.int32)
    for number, layout in enumerate([pixels, pixels.transpose(0, 2, 3, 1)]):
        np.savez(tmp_path / f"{number}.npz", **{names[0]: layout, names[1]: labels})
        images = load_images(str(tmp_path / f"{number}.npz"), None)
        assert np.array_equal(images.pixels, pixels) and images.classes == 3
        assert images.mean == pytest.approx(tuple(pixels.mean(axis=(0, 2, 3)) / 255))
        assert images.std == pytest.approx(tuple(pixels.std(axis=(0, 2, 3)) / 255))
    np.savez(tmp_path / "grey.npz", **{names[0]: pixels[:, 0], names[1]: labels})
    assert load_images(str(tmp_path / "grey.npz"), None).shape == (1, 9, 10)


def test_float_npz_is_taken_as_normalised(tmp_path):
    pixels = np.random.RandomState(0).standard_normal((6, 3, 4, 4))
    np.savez(tmp_path / "own.npz", images=pixels, labels=np.arange(6))
    images = load_images(str(tmp_path / "own.npz"), None)
    minibatch = draw_minibatches(images, batch_size=6, count=1, seed=0)[0]
    order = minibatch.targets.numpy()
    assert np.array_equal(minibatch.inputs.numpy(), pixels.astype(np.float32)[order])
    assert "normalised already" in images.source


def bad_npz(path: Path, kind: str) -> None:
    pixels, labels = np.zeros((4, 3, 8, 8), np.uint8), np.arange(4)
    arrays = {
        "objects": {"images": np.array([Hostile(path.parent / "canary")] * 4, dtype=object), "labels": labels},
        "object labels": {"images": pixels, "labels": np.array([0, 1, None, 2], dtype=object)},
        "no labels": {"images": pixels},
        "flat": {"images": pixels.reshape(4, -1), "labels": labels},
        "int64 pixels": {"images": pixels.astype(np.int64), "labels": labels},
        "nan": {"images": np.full((4, 3, 8, 8), np.nan), "labels": labels},
        "float labels": {"images": pixels, "labels": labels.astype(float)},
        "three labels": {"images": pixels, "labels": labels[:3]},
        "negative": {"images": pixels, "labels": labels - 1},
        "no images": {"images": pixels[:0], "labels": labels[:0]},
        "complex": {"images": pixels * 1j, "labels": labels},
        "records": {"images": np.zeros(4, dtype=[("a", "u1")]), "labels": labels},
        "too many classes": {"images": pixels, "labels": labels + 2**62},
        "labels beyond int64": {"images": pixels, "labels": labels.astype(np.uint64) + 2**63},
    }
    if kind in arrays:
        np.savez(path, **arrays[kind])
    elif kind == "text":
        path.write_text("x")
    else:  # truncated
        np.savez(path, images=pixels, labels=labels)
        path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("objects", "plain arrays"),
        ("object labels", "plain arrays"),
        ("no labels", "no array called labels or y; it has images"),
        ("flat", r"expected images as uint8.*\(4, 192\)"),
        ("int64 pixels", "got int64"),
        ("nan", "not finite"),
        ("float labels", "whole numbers, got float64"),
        ("three labels", "4 images but 3 labels"),
        ("negative", "label -1"),
        ("no images", "none of them 0"),
        ("complex", "got complex128"),
        ("records", "plain arrays"),
        ("too many classes", "expected labels from 0 to 999,999"),
        ("labels beyond int64", "label 9223372036854775808 is out of range"),
        ("text", "truncated or not a NumPy archive of plain arrays"),
        ("truncated", "truncated or not a NumPy archive"),
    ],
)
def test_unusable_npz(tmp_path, kind, message):
    bad_npz(tmp_path / "own.npz", kind)
    with pytest.raises(UserError, match=message) as error:
        load_images(str(tmp_path / "own.npz"), None)
    assert "own.npz" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "canary").exists()


def save_png(path: Path, size=(10, 6), mode="RGB", colour=(10, 20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def test_folder_of_images(tmp_path):
    save_png(tmp_path / "dog" / "b.png", colour=(255, 0, 0))
    save_png(tmp_path / "cat" / "a.png", colour=(0, 255, 0))
    save_png(tmp_path / "cat" / "c.PNG", mode="L", colour=7)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / ".cache").mkdir()
    images = load_images(str(tmp_path), None)
    assert images.pixels.shape == (3, 3, 6, 10) and images.labels.tolist() == [0, 0, 1] and images.classes == 2
    assert images.pixels[:, :, 0, 0].tolist() == [[0, 255, 0], [7, 7, 7], [255, 0, 0]]
    assert "resized" not in images.source


def test_folder_of_grey_images_has_one_channel(tmp_path):
    save_png(tmp_path / "zero" / "a.png", mode="L", colour=7)
    images = load_images(str(tmp_path), None)
    assert images.shape == (1, 6, 10) and images.std == (1.0,)  # a constant channel is not divided by 0


def test_folder_of_unequal_images_takes_central_squares(tmp_path):
    striped = np.zeros((4, 12, 3), np.uint8)
    striped[:, 4:8] = 200
    (tmp_path / "a").mkdir()
    Image.fromarray(striped).save(tmp_path / "a" / "wide.png")
    save_png(tmp_path / "a" / "z.png", size=(8, 8), colour=(9, 9, 9))
    images = load_images(str(tmp_path), None)
    assert images.shape == (3, 4, 4) and "resized" in images.source
    assert (images.pixels[0] == 200).all() and (images.pixels[1] == 9).all()


def test_an_archive_of_images_that_fills_the_memory_is_not_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((300, 1, 1000, 1000), np.uint8), labels=np.arange(300))
    with pytest.raises(UserError, match="x.npz: it unpacks to 300,00.* bytes, too many for a file of its size"):
        load_images(str(tmp_path / "x.npz"), None)


def test_images_that_fill_the_memory_are_not_unpacked(tmp_path):
    save_png(tmp_path / "a" / "0.png", size=(8000, 4000), mode="L", colour=7)
    for i in range(1, 9):
        shutil.copy(tmp_path / "a" / "0.png", tmp_path / "a" / f"{i}.png")
    with pytest.raises(UserError, match="9 images of 8000 x 4000 are more than the 256 MiB"):
        load_images(str(tmp_path), None)
    save_png(tmp_path / "a" / "0.png", size=(8000, 8000), mode="1", colour=1)
    with pytest.raises(UserError, match="0.png: 8000 x 8000 pixels, too many for an image"):
        load_images(str(tmp_path), None)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir])
def test_what_is_no_file_is_not_opened_as_an_image(tmp_path, make):
    (tmp_path / "a").mkdir()
    make(tmp_path / "a" / "x.png")
    with pytest.raises(UserError, match="x.png: (no such file, but a pipe or a device|a folder); expected an image"):
        load_images(str(tmp_path), None)


def test_unusable_folders(tmp_path):
    with pytest.raises(UserError, match="one subfolder for each class"):
        load_images(str(tmp_path), None)
    save_png(tmp_path / "a" / "good.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images in empty"):
        load_images(str(tmp_path), None)
    save_png(tmp_path / "empty" / "bad.png", size=(60, 60))
    whole = (tmp_path / "empty" / "bad.png").read_bytes()
    (tmp_path / "empty" / "bad.png").write_bytes(whole[:60])  # the header is good, the pixels are not there
    with pytest.raises(UserError, match="bad.png: truncated or not an image"):
        load_images(str(tmp_path), None)
    Image.fromarray(np.full((6, 10), 40_000, np.uint16)).save(tmp_path / "empty" / "bad.png")
    with pytest.raises(UserError, match="8 bits a channel"):
        load_images(str(tmp_path), None)


def test_unknown_names():
    with pytest.raises(UserError, match="cifar10 or cifar100|cifar100 or cifar10"):
        load_images("cifar1", None)
    with pytest.raises(UserError, match="no such folder"):
        load_images("nowhere/images.npz", None)
    with pytest.raises(UserError, match="did you mean gaussian"):
        one_batch("gausian")
    with pytest.raises(UserError, match="expected a folder of images or an .npz"):
        load_images(__file__, None)


# --- minibatches ------------------------------------------------------------------------------------------------------


def same(first, second) -> bool:
    return torch.equal(first.inputs, second.inputs) and torch.equal(first.targets, second.targets)


def test_normalisation_is_the_written_formula():
    images = some_images()
    minibatch = draw_minibatches(images, batch_size=5, count=1, seed=3)[0]
    pixels = images.pixels[choose(images, 5, 1, 3)[0]]
    mean, std = (np.array(values)[None, :, None, None] for values in (images.mean, images.std))
    assert minibatch.inputs.dtype == torch.float32 and minibatch.targets.dtype == torch.int64
    assert minibatch.inputs.numpy() == pytest.approx((pixels / 255 - mean) / std, abs=1e-5)
    assert minibatch.targets.tolist() == images.labels[choose(images, 5, 1, 3)[0]].tolist()


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("augmented", [False, True])
def test_a_minibatch_depends_on_the_seed_alone(balanced, augmented):
    images, options = some_images(), {"batch_size": 10, "balanced": balanced, "augment": augmented}
    first = draw_minibatches(images, count=1, seed=0, **options)
    np.random.seed(5)
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    many = draw_minibatches(images, count=12, seed=0, **options)
    assert same(first[0], many[0]) and not same(many[0], many[1])
    assert np.array_equal(before[0], np.random.get_state()[1]) and torch.equal(before[1], torch.get_rng_state())
    assert not same(first[0], draw_minibatches(images, count=1, seed=1, **options)[0])
    fewer = draw_minibatches(images, count=7, seed=0, **options)
    assert all(same(one, other) for one, other in zip(fewer, many, strict=False))


def test_the_choice_never_changes():
    """The same images for the same seed on every version of NumPy and torch: runs may be extended years later."""
    assert choose(some_images(), 6, 1, 0)[0].tolist() == [42, 89, 36, 2, 76, 62]


def test_without_replacement_then_cycling():
    images = some_images()
    whole = choose(images, 10, 9, seed=0)
    assert sorted(whole.ravel()) == list(range(90))
    longer = choose(images, 40, 5, seed=0)
    assert all(len(set(row)) == 40 for row in longer.tolist()) and len(set(longer[:2].ravel())) == 80


@pytest.mark.parametrize("batch_size", [2, 3, 31, 64])
def test_balanced_minibatches(batch_size):
    images = some_images(per_class=(30, 25, 40))
    rows = choose(images, batch_size, 20, seed=0, balanced=True)
    counts = np.array([np.bincount(images.labels[row], minlength=3) for row in rows])
    assert (counts.sum(axis=1) == batch_size).all() and (np.ptp(counts, axis=1) <= 1).all()
    assert all(len(set(row)) == batch_size for row in rows.tolist())
    if batch_size % 3:
        assert len(np.unique(counts, axis=0)) > 1  # not always the same class gets the one more
    assert not all((np.diff(images.labels[row]) >= 0).all() for row in rows)  # not sorted by class


def test_balanced_needs_enough_of_each_class():
    images = some_images(per_class=(30, 2, 30))
    for seed in range(5):  # never the small class that gets the one more
        assert np.bincount(images.labels[choose(images, 8, 1, seed, True)[0]]).tolist() == [3, 2, 3]
    with pytest.raises(UserError, match="smallest class has 2 .*at most 8"):
        choose(images, 9, 1, 0, True)
    with pytest.raises(UserError, match="at most 8"):
        choose(images, 10, 1, 0, True)


def test_more_samples_than_images():
    with pytest.raises(UserError, match="batch size 91 is larger than the set: some images; use at most 90"):
        draw_minibatches(some_images(), batch_size=91, count=1, seed=0)


def test_resolution():
    images = some_images()
    plain, half, large, same_size = (
        draw_minibatches(images, batch_size=4, count=1, seed=0, resolution=resolution)[0].inputs
        for resolution in (None, 4, 16, 8)
    )
    assert torch.equal(plain, same_size) and large.shape == (4, 3, 16, 16)
    assert torch.allclose(half, plain.reshape(4, 3, 4, 2, 4, 2).mean(dim=(3, 5)), atol=1e-6)
    assert large.mean().item() == pytest.approx(plain.mean().item(), abs=0.03)


def test_augment_flips_and_shifts_by_an_eighth():
    pixels = np.random.RandomState(0).randint(1, 256, (200, 3, 16, 16)).astype(np.uint8)
    kept = pixels.copy()
    moved = flip_and_crop(pixels, seed=0)
    assert np.array_equal(pixels, kept) and moved.shape == pixels.shape and moved.dtype == np.uint8
    seen = set()
    for before, after in zip(pixels, moved, strict=True):
        found = [
            (flipped, y, x)
            for flipped, image in enumerate([before, before[:, :, ::-1]])
            for y in range(5)
            for x in range(5)
            if np.array_equal(np.pad(image, ((0, 0), (2, 2), (2, 2)))[:, y : y + 16, x : x + 16], after)
        ]
        assert len(found) == 1
        seen.update(found)
    assert {flipped for flipped, _, _ in seen} == {0, 1} and {y for _, y, _ in seen} == {0, 1, 2, 3, 4}
    assert np.array_equal(moved, flip_and_crop(pixels, seed=0)) and not np.array_equal(
        moved, flip_and_crop(pixels, seed=1)
    )


def test_gaussian_minibatches():
    options = {"shape": (3, 16, 16), "classes": 7, "batch_size": 64}
    torch.manual_seed(1)
    batches = gaussian_minibatches(**options, count=3, seed=0)
    assert same(batches[0], gaussian_minibatches(**options, count=1, seed=0)[0])
    assert same(batches[2], gaussian_minibatches(**options, count=3, seed=0)[2])
    assert not same(batches[0], batches[1]) and not same(
        batches[0], gaussian_minibatches(**options, count=1, seed=1)[0]
    )
    inputs, targets = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("inputs", "targets"))
    assert inputs.dtype == torch.float32 and inputs.shape == (192, 3, 16, 16) and targets.dtype == torch.int64
    assert inputs.mean().item() == pytest.approx(0, abs=0.01) and inputs.std().item() == pytest.approx(1, abs=0.01)
    assert set(targets.tolist()) == set(range(7))


def test_ones():
    minibatch = ones((3, 4, 5), batch_size=2)
    assert torch.equal(minibatch.inputs, torch.ones(2, 3, 4, 5)) and minibatch.targets.tolist() == [0, 0]


def one_batch(inputs="images", dataset="cifar10", folder=None, **options):
    settings = {"batch_size": 8, "count": 1, "seed": 0, "channels": 3, "resolution": None, "classes": 10}
    return minibatches(inputs, dataset=dataset, folder=folder, **(settings | options))


def test_the_one_entry(tmp_path):
    write(tmp_path / "cifar-10-batches-py" / "data_batch_1", pickle.dumps(cifar_content()))
    batches, said = one_batch(folder=tmp_path, count=4, resolution=16, balanced=True, augment=True)
    assert len(batches) == 4 and batches[0].inputs.shape == (8, 3, 16, 16)
    loaded, said_again = one_batch(
        load_images("cifar10", tmp_path), count=4, resolution=16, balanced=True, augment=True
    )
    assert said_again == said and all(same(one, other) for one, other in zip(batches, loaded, strict=True))
    for part in (
        "20 images, PARTIAL",
        "balanced over 10 of 10",
        "flip",
        "resized to 16 x 16",
        "several of the 4",
        "sha256",
    ):
        assert part in said
    assert str(tmp_path) not in said  # the same images elsewhere are the same inputs
    batches, said = one_batch("gaussian", dataset="imagenet16-120", classes=120)
    assert batches[0].inputs.shape == (8, 3, 16, 16) and "Gaussian" in said
    assert one_batch("gaussian", resolution=8)[0][0].inputs.shape == (8, 3, 8, 8)
    save_png(tmp_path / "own" / "a" / "1.png")
    assert one_batch(str(tmp_path / "own"), batch_size=1)[0][0].inputs.shape == (1, 3, 6, 10)


def test_images_that_do_not_fit_the_network(tmp_path):
    pixels, labels = np.zeros((12, 1, 8, 8), np.uint8), np.arange(12)
    np.savez(tmp_path / "own.npz", images=pixels, labels=labels)
    with pytest.raises(UserError, match="1 channels and the network takes 3.*own.npz"):
        one_batch(str(tmp_path / "own.npz"))
    with pytest.raises(UserError, match="label 11 is out of range for a network of 10 classes"):
        one_batch(str(tmp_path / "own.npz"), channels=1)
    with pytest.raises(UserError, match="label 11 is out of range for a network of 11 classes"):
        one_batch(str(tmp_path / "own.npz"), channels=1, classes=11)
    assert one_batch(str(tmp_path / "own.npz"), channels=1, classes=12)[0][0].targets.max() < 12
