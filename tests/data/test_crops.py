"""Crops that depend on (seed, i) alone, LR made of a batch, and who takes which sample."""

import pickle
from itertools import chain

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from srkit import data
from srkit.data import (
    LR_FILTERS,
    DataError,
    Pairs,
    Photos,
    Steps,
    bicubic_lr,
    centre_crops,
    embedded,
    held_out_crops,
    lr_and_hr,
    packed,
    photo_folder,
)
from srkit.data.crops import order, share


def noise(count=3, height=40, width=48, labels=None) -> Photos:
    """Photographs of random pixels, in memory."""
    rng = np.random.default_rng(1)
    items = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]
    labels = labels or list(range(count))
    return Photos("noise", items, labels, [str(n) for n in range(max(labels) + 1)])


# --- Crops ---------------------------------------------------------------------------------------


def same(a, b) -> bool:
    return torch.equal(a[0], b[0]) and a[1] == b[1]


def test_a_sample_depends_on_seed_and_number_alone():
    forwards = Pairs(noise(), 2, 16, samples=40, seed=5)
    backwards = Pairs(noise(), 2, 16, samples=40, seed=5)
    one_way = [forwards[i] for i in range(40)]
    other_way = [backwards[i] for i in reversed(range(40))][::-1]
    assert all(map(same, one_way, other_way))
    mixed = np.random.default_rng(0).permutation(40)  # back and forth between 14 epochs
    assert all(same(one_way[i], forwards[i]) for i in mixed)
    other_seed = Pairs(noise(), 2, 16, samples=40, seed=6)
    assert not all(same(one_way[i], other_seed[i]) for i in range(40))


def test_samples_are_what_they_were_in_earlier_versions():
    """A resumed run goes on with the crops that it would have had."""
    photo = np.arange(40 * 48 * 3).reshape(40, 48, 3).astype(np.uint8)
    pairs = Pairs(Photos("counted", [photo] * 5, [*range(5)], [*"abcde"]), 2, 16, 10, seed=3)
    assert [label for _, label in pairs] == [4, 2, 1, 3, 0, 3, 1, 4, 0, 2]
    assert [int(hr[0, 0, 0]) for hr, _ in pairs] == [197, 88, 218, 154, 197, 159, 106, 176, 59, 254]


def test_a_crop_is_8_bits_and_a_copy():
    photos = noise()
    hr, label = Pairs(photos, 2, 16, samples=1)[0]
    assert hr.shape == (3, 16, 16) and hr.dtype == torch.uint8 and hr.is_contiguous()
    before = photos[label].copy()
    hr.zero_()
    assert np.array_equal(photos[label], before)


def test_crops_are_cut_from_their_photograph_with_its_label():
    photos = noise(labels=[2, 0, 1])
    pairs = Pairs(photos, 2, 16, samples=12)
    mirrored = 0
    for hr, label in pairs:
        crop = hr.permute(1, 2, 0).numpy()
        photo = photos[photos.labels.index(label)]
        windows = np.lib.stride_tricks.sliding_window_view(photo, (16, 16, 3))[:, :, 0]
        straight = (windows == crop).all((2, 3, 4)).any()
        flipped = (windows == crop[:, ::-1]).all((2, 3, 4)).any()
        assert straight != flipped
        mirrored += flipped
    assert 0 < mirrored < 12


def test_crops_and_flips_differ_from_sample_to_sample():
    one = noise(1).items[0]
    pairs = Pairs(Photos("same", [one] * 8, [0] * 8, ["x"]), 2, 16, samples=8)
    crops = [pairs[i][0] for i in range(8)]
    assert sum(torch.equal(a, b) for a in crops for b in crops) < 8 + 8  # itself, or by chance


def test_every_epoch_takes_each_photograph_once_in_a_new_order():
    pairs = Pairs(noise(7), 2, 16, samples=28)
    labels = [pairs[i][1] for i in range(28)]
    epochs = [labels[i : i + 7] for i in range(0, 28, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_few_epochs_orders_are_kept():
    pairs = Pairs(noise(3, 8, 8), 2, 8, samples=300)
    for i in range(0, 300, 3):
        pairs[i]
    assert order.cache_info().currsize <= 4


def test_a_crop_as_large_as_the_photograph_is_the_photograph():
    hr = Pairs(noise(1, 16, 16), 2, 16, samples=1)[0][0]
    photo = torch.from_numpy(noise(1, 16, 16)[0]).permute(2, 0, 1)
    assert torch.equal(hr, photo) or torch.equal(hr, photo.flip(2))


def test_a_crop_that_is_no_multiple_of_the_scale_is_refused():
    with pytest.raises(ValueError, match="18"):
        Pairs(noise(), 4, 18, samples=1)


def test_a_photograph_smaller_than_the_crop_is_refused(make_folder):
    photos = photo_folder(make_folder({"big.png": (40, 40), "small.png": (90, 31)}))
    with pytest.raises(DataError, match=r"1 of 2 .*small\.png \(90x31\)"):
        Pairs(photos, 2, 32, samples=4)


def test_there_are_as_many_samples_as_asked_for():
    pairs = Pairs(noise(), 2, 16, samples=5)
    assert len(pairs) == len(list(pairs)) == 5
    for outside in (5, -1):
        with pytest.raises(IndexError, match=f"{outside} of 5"):
            pairs[outside]


# --- LR and HR of a batch ------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 4])
def test_lr_is_the_bicubic_of_hr_in_the_agreed_ranges(scale):
    crops = torch.stack([hr for hr, _ in Pairs(noise(), scale, 16, samples=6)])
    lr, hr = lr_and_hr(crops, scale)
    assert lr.shape == (6, 3, 16 // scale, 16 // scale) and hr.shape == (6, 3, 16, 16)
    assert lr.dtype == hr.dtype == torch.float32
    assert float(hr.min()) == -1 and float(hr.max()) == 1  # random pixels fill [-1, 1]
    assert float(lr.min()) >= 0 and float(lr.max()) <= 1
    for crop, one_lr, one_hr in zip(crops, lr, hr, strict=True):  # bit for bit, picture by picture
        image = data.to_tensor(crop.permute(1, 2, 0).numpy())
        assert torch.equal(one_lr, bicubic_lr(image[None], scale)[0])
        assert torch.equal(one_hr, data.norm(image))


def test_lanczos_is_a_switch():
    crops = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    lr, hr = lr_and_hr(crops, 2, "lanczos")
    assert torch.equal(lr, data.lanczos_lr(crops / 255, 2))
    assert torch.equal(hr, lr_and_hr(crops, 2)[1])
    with pytest.raises(ValueError, match="'nearest'; accepted: bicubic, lanczos"):
        lr_and_hr(crops, 2, "nearest")


def test_crops_already_scaled_are_refused():
    with pytest.raises(ValueError, match=r"uint8, not torch\.float32"):
        lr_and_hr(torch.rand(1, 3, 8, 8), 2)


@pytest.mark.gpu
@pytest.mark.parametrize("lr_filter", LR_FILTERS)
@pytest.mark.parametrize("scale", [2, 4])
def test_lr_on_the_gpu_is_that_of_the_cpu(lr_filter, scale, monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
    photos = embedded("val")
    crops = torch.stack([hr for hr, _ in Pairs(photos, scale, 128, samples=16)])
    lr, hr = lr_and_hr(crops, scale, lr_filter)
    gpu_lr, gpu_hr = lr_and_hr(crops.cuda(), scale, lr_filter)
    assert gpu_lr.is_cuda and gpu_hr.is_cuda and torch.equal(gpu_hr.cpu(), hr)
    apart = (gpu_lr.cpu() - lr).abs() * 255
    assert apart.max() <= 1.001 and (apart > 0.5).float().mean() < 1e-3  # ties in rounding


# --- Who takes which sample ----------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "world"), [(8, 1), (8, 4), (7, 3), (3, 3), (16, 5)])
def test_the_shares_of_a_step_are_its_batch_in_order(batch, world):
    for step in (0, 1, 1000):
        shares = [share(step, batch, rank, world) for rank in range(world)]
        assert list(chain(*shares)) == list(range(step * batch, (step + 1) * batch))
        sizes = [len(part) for part in shares]
        assert max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)


def test_a_batch_too_small_for_its_processes_is_refused():
    with pytest.raises(ValueError, match="a batch of 3 cannot be split over 4 processes"):
        share(0, 3, 0, 4)
    with pytest.raises(ValueError, match="a batch of 3 cannot be split over 4 processes"):
        Steps(0, 10, 3, rank=1, world=4)
    with pytest.raises(ValueError, match="no process 4 among 4"):
        share(0, 8, 4, 4)


def test_steps_go_on_from_where_they_are_told():
    steps = Steps(2, 5, 4)
    assert len(steps) == 3
    assert list(steps) == [[8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19]]
    assert list(steps) == list(steps), "it can be gone through again"
    assert list(Steps(5, 5, 4)) == [] and len(Steps(7, 5, 4)) == 0
    assert list(Steps(1, 2, 5, rank=1, world=2)) == [[8, 9]]
    assert list(pickle.loads(pickle.dumps(steps))) == list(steps)


def batches(pairs, steps, **options):
    return list(DataLoader(pairs, batch_sampler=steps, **options))


def test_processes_together_train_on_the_one_process_s_batches():
    pairs = Pairs(noise(), 2, 16, samples=12)
    alone = batches(pairs, Steps(0, 3, 4))
    ranks = [batches(pairs, Steps(0, 3, 4, rank, 3)) for rank in range(3)]
    for step, (hr, labels) in enumerate(alone):
        assert hr.shape == (4, 3, 16, 16) and labels.dtype == torch.int64
        assert torch.equal(hr, torch.cat([rank[step][0] for rank in ranks]))
        assert torch.equal(labels, torch.cat([rank[step][1] for rank in ranks]))


def test_workers_change_nothing():
    pairs, steps = Pairs(noise(), 2, 16, samples=9), Steps(0, 3, 3)
    alone, helped = batches(pairs, steps), batches(pairs, steps, num_workers=2)
    assert len(alone) == len(helped) == 3
    for a, b in zip(alone, helped, strict=True):
        assert all(map(torch.equal, a, b))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "packed"])
def test_spawned_workers_change_nothing(make_folder, tmp_path, kind):
    """Windows and macOS start loader processes by spawn: all that they get is pickled."""
    files = {f"{c}/{n}.png": (40, 36) for c in ("cat", "dog") for n in range(3)}
    photos = photo_folder(make_folder(files))
    if kind == "packed":
        packed.pack(photos, tmp_path / "packed" / "train")
        photos = data.open_photos(f"packed:{tmp_path / 'packed'}", "train")
    pairs, steps = Pairs(photos, 2, 32, samples=20), Steps(1, 5, 4)
    alone = batches(pairs, steps)
    spawned = batches(pairs, steps, num_workers=1, multiprocessing_context="spawn")
    assert len(alone) == len(spawned) == 4
    for a, b in zip(alone, spawned, strict=True):
        assert all(map(torch.equal, a, b))


# --- The middles ---------------------------------------------------------------------------------


def test_centre_crops_are_the_middles_spread_over_the_set():
    photos = noise(5, 20, 30)
    crops = centre_crops(photos, 8, 3)
    assert crops.shape == (3, 3, 8, 8)
    for crop, number in zip(crops, (0, 2, 4), strict=True):
        assert torch.equal(crop, data.to_tensor(photos[number][6:14, 11:19]))


def test_centre_crops_shrink_to_the_smallest_photograph():
    photos = Photos("two", [noise(1, 40, 40)[0], noise(1, 23, 50)[0]], [0, 0], ["x"])
    assert centre_crops(photos, 32, 8).shape == (2, 3, 20, 20)


def test_held_out_crops_take_other_classes_first():
    values = [np.full((64, 64, 3), v, dtype=np.uint8) for v in (10, 20, 30, 40)]
    crops = held_out_crops(Photos("p", values, [0, 0, 1, 2], ["a", "b", "c"]), 3, 32)
    assert [round(float(c.mean()) * 255) for c in crops] == [10, 30, 40]
