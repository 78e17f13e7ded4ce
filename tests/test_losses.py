"""Equations 1 to 8 written out by hand in numpy, and where each one's gradient goes."""

import math

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from srkit import losses, models
from srkit.data import norm, photo_folder, to_tensor
from srkit.losses import ContentLoss, Weights
from srkit.models import (
    VGG19,
    VGG19_LAYERS,
    SRGANDiscriminator,
    SRUGANDiscriminator,
    UNetDiscriminator,
)
from srkit.training.recipes import recipe
from srkit.training.state import start
from srkit.training.step import discriminator_backward, generator_terms
from srkit.weights import WeightsError, load_vgg19

LOGITS = torch.tensor([-3.0, -0.5, 0.0, 1.25, 4.0])
PROBABILITIES = 1 / (1 + np.exp(-LOGITS.double().numpy()))  # the report's sigma


def tiny_vgg(*_) -> VGG19:
    """Two layers in place of VGG19, for tests that are not about its weights."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    return VGG19(network, "relu1_1", "tiny", feature_scale=2.0)


@pytest.fixture
def content() -> ContentLoss:
    return ContentLoss(tiny_vgg())


@pytest.fixture(scope="module")
def untrained() -> ContentLoss:
    return ContentLoss(load_vgg19("untrained"))


def pictures(seed=0, side=16):
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# --- The equations -------------------------------------------------------------------------------


def test_eq1_mse_by_hand_from_8_bit_levels(rng):
    sr, hr = (rng.integers(0, 256, (2, 3, 5, 7)).astype(np.float64) for _ in range(2))
    to_norm = lambda levels: levels / 127.5 - 1
    by_hand = ((to_norm(sr) - to_norm(hr)) ** 2).mean()  # over pixels, channels and batch
    ours = losses.mse_loss(*(norm(torch.from_numpy(x) / 255) for x in (sr, hr)))
    assert float(ours) == pytest.approx(by_hand, rel=1e-12)  # float64 rounding


def test_eq1_refuses_to_broadcast():
    with pytest.raises(ValueError, match="differ in shape"):
        losses.mse_loss(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4))


def test_eq2_content_by_hand(content):
    sr, hr = pictures(0), pictures(1)
    convolution = content.network[0]

    def phi(image):
        shifted = (image + 1) / 2  # the network's range
        out = nn.functional.conv2d(shifted, convolution.weight, convolution.bias, padding=1)
        return np.maximum(out.detach().numpy(), 0) / 2.0

    by_hand = ((phi(sr) - phi(hr)) ** 2).mean()
    assert float(content(sr, hr)) == pytest.approx(by_hand, rel=1e-5)  # float32 rounding


def test_eq2_is_zero_for_identical_pictures(content):
    assert float(content(pictures(), pictures())) == 0


def test_eq3_adversarial_by_hand():
    ours = losses.adversarial_loss(LOGITS, reduction="sum")
    assert float(ours) == pytest.approx(-np.log(PROBABILITIES).sum(), rel=1e-6)
    mean = losses.adversarial_loss(LOGITS)
    assert float(mean) == pytest.approx(-np.log(PROBABILITIES).mean(), rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 1, 4, 5), (3, 7)])
def test_eq3_and_eq6_over_pixels_weigh_each_picture_the_same(rng, shape):
    logits = rng.normal(size=shape)
    probabilities = 1 / (1 + np.exp(-logits))
    cases = {
        "adversarial": (losses.adversarial_loss, -np.log(probabilities)),
        "real": (lambda x, **o: losses.validity_loss(x, True, **o), -np.log(probabilities)),
        "fake": (lambda x, **o: losses.validity_loss(x, False, **o), -np.log(1 - probabilities)),
    }
    for name, (function, by_hand) in cases.items():
        mean = float(function(torch.from_numpy(logits)))
        assert mean == pytest.approx(by_hand.mean(), rel=1e-12), name
        total = float(function(torch.from_numpy(logits), reduction="sum"))
        of_pictures = by_hand.reshape(3, -1).mean(1)  # then the report's sum over the batch
        assert total == pytest.approx(of_pictures.sum(), rel=1e-12), name


def test_a_picture_of_equal_logits_counts_as_one_logit():
    pixels = LOGITS.view(5, 1, 1, 1).expand(5, 1, 3, 4)
    for reduction in ("mean", "sum"):
        whole = losses.adversarial_loss(LOGITS, reduction)
        assert float(losses.adversarial_loss(pixels, reduction)) == pytest.approx(float(whole))
        assert float(losses.validity_loss(pixels, False, reduction)) == pytest.approx(
            float(losses.validity_loss(LOGITS, False, reduction))
        )


def test_eq4_srgan_s_perceptual_loss():
    terms = {"content": torch.tensor(0.75), "adversarial": torch.tensor(2.0)}
    loss = losses.generator_loss(terms, Weights())
    assert float(loss) == pytest.approx(0.75 + 1e-3 * 2.0, rel=1e-7)


def test_eq5_sr_ugan_s_perceptual_loss():
    values = {"mse": 0.5, "content": 0.75, "adversarial": 2.0}
    terms = {name: torch.tensor(value) for name, value in values.items()}
    loss = losses.generator_loss(terms, Weights())
    assert float(loss) == pytest.approx(0.5 + 0.75 + 2e-3, rel=1e-7)
    other = losses.generator_loss(terms, Weights(2.0, 3.0, 4.0))
    assert float(other) == 2 * 0.5 + 3 * 0.75 + 4 * 2.0


def test_the_later_code_s_class_term_is_off_unless_asked_for():
    assert Weights(1.0, 2.0, 3.0) == Weights(mse=1.0, content=2.0, adversarial=3.0, classes=0.0)
    terms = {"mse": torch.tensor(0.5), "classes": torch.tensor(6.0)}
    assert float(losses.generator_loss(terms, Weights())) == 0.5
    later = losses.generator_loss(terms, Weights(classes=1e-3))
    assert float(later) == pytest.approx(0.5 + 6e-3, rel=1e-6)


def test_generator_loss_refuses_a_term_without_a_weight():
    with pytest.raises(AttributeError, match="style"):
        losses.generator_loss({"style": torch.tensor(1.0)}, Weights())


def test_eq6_as_printed_holds_for_real_pictures():
    printed = -np.log(PROBABILITIES).sum()  # Y = 1
    ours = losses.validity_loss(LOGITS, real=True, reduction="sum")
    assert float(ours) == pytest.approx(printed, rel=1e-6)


def test_eq6_as_printed_is_zero_for_fakes_where_ours_is_the_full_cross_entropy():
    printed = -(0 * np.log(PROBABILITIES)).sum()  # Y = 0: nothing is learnt from fakes
    full = -np.log(1 - PROBABILITIES).sum()
    ours = losses.validity_loss(LOGITS, real=False, reduction="sum")
    assert printed == 0
    assert float(ours) == pytest.approx(full, rel=1e-6)


def test_eq7_class_loss_by_hand(rng):
    logits, labels = rng.normal(size=(4, 5)), np.array([0, 3, 3, 1])
    one_hot = np.eye(5)[labels]
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    by_hand = -(one_hot * np.log(softmax)).sum()
    tensors = torch.from_numpy(logits), torch.from_numpy(labels)
    assert float(losses.class_loss(*tensors, reduction="sum")) == pytest.approx(by_hand, rel=1e-12)
    assert float(losses.class_loss(*tensors)) == pytest.approx(by_hand / 4, rel=1e-12)


def test_eq8_keeps_validity_and_class_side_by_side():
    labels = torch.tensor([1, 0])
    real, fake, classes = torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.5]), torch.eye(2)
    terms = losses.discriminator_loss(real, fake, classes, labels)
    assert list(terms) == ["validity_real", "validity_fake", "class"]
    by_hand = {
        "validity_real": np.log1p(np.exp([-1.0, -2.0])).mean(),
        "validity_fake": np.log1p(np.exp([-1.0, 0.5])).mean(),
        "class": math.log(1 + math.e),  # the right class has logit 0, the other 1
    }
    assert {k: float(v) for k, v in terms.items()} == pytest.approx(by_hand, rel=1e-6)


def test_srgan_s_discriminator_loss_is_validity_alone():
    assert list(losses.discriminator_loss(LOGITS, LOGITS)) == ["validity_real", "validity_fake"]


def test_class_logits_and_labels_go_together():
    with pytest.raises(ValueError, match="go together"):
        losses.discriminator_loss(LOGITS, LOGITS, torch.zeros(5, 3))
    with pytest.raises(ValueError, match="go together"):
        losses.discriminator_loss(LOGITS, LOGITS, None, torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_losses_are_finite_and_exact_at_huge_logits(logit):
    cases = {
        "adversarial": (losses.adversarial_loss, max(0.0, -logit)),
        "real": (lambda x: losses.validity_loss(x, real=True), max(0.0, -logit)),
        "fake": (lambda x: losses.validity_loss(x, real=False), max(0.0, logit)),
    }
    for name, (function, limit) in cases.items():
        x = torch.full((3,), logit, requires_grad=True)
        loss = function(x)
        loss.backward()
        assert loss.item() == limit, name  # log(1 + exp(-1000)) is 0 in float32
        assert torch.isfinite(x.grad).all(), name


def test_class_loss_is_finite_at_huge_logits():
    logits = torch.tensor([[1000.0, -1000.0]], requires_grad=True)
    loss = losses.class_loss(logits, torch.tensor([1]))
    loss.backward()
    assert loss.item() == 2000 and torch.isfinite(logits.grad).all()


# --- Where gradients go --------------------------------------------------------------------------

GENERATORS = {
    "srgan": lambda: models.SRGANGenerator(2, blocks=1, width=4),
    "sr-ugan": lambda: models.SRUGANGenerator(2, blocks=1, width=4, wide=4, unet=(4, 4)),
}


@pytest.mark.parametrize("model", GENERATORS)
@pytest.mark.parametrize(
    "term",
    ["mse", "content", "adversarial", "adversarial, two heads", "adversarial, pixels", "classes"],
)
def test_each_term_reaches_every_layer_of_the_generator(model, term, content):
    generator = GENERATORS[model]()
    sr = generator(torch.rand(2, 3, 16, 16))
    hr = pictures(1, 32)
    two_heads, pixels = SRUGANDiscriminator(classes=3, width=2), UNetDiscriminator(width=2)
    loss = {
        "mse": lambda: losses.mse_loss(sr, hr),
        "content": lambda: content(sr, hr),
        "adversarial": lambda: losses.adversarial_loss(SRGANDiscriminator(2)(sr)),
        "adversarial, two heads": lambda: losses.adversarial_loss(two_heads(sr)[0]),
        "adversarial, pixels": lambda: losses.adversarial_loss(pixels(sr)),
        "classes": lambda: losses.class_loss(two_heads(sr)[1], torch.tensor([0, 2])),
    }[term]()
    loss.backward()
    for name, weight in generator.named_parameters():
        # A bias before BatchNorm, or a constant on all channels, may have none: weights must.
        if weight.ndim == 4:
            assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_content_of_the_photograph_carries_no_graph(content):
    hr = pictures(1).requires_grad_()
    sr = pictures(0).requires_grad_()
    content(sr, hr).backward()
    assert hr.grad is None
    assert sr.grad is not None and sr.grad.abs().sum() > 0


def test_content_network_is_frozen_and_stays_in_evaluation_mode(content):
    nn.Sequential(content).train()
    assert not content.training and not content.network.training
    assert not any(p.requires_grad for p in content.parameters())


LABELS = torch.tensor([0, 2])
DUELS = {
    "srgan": {"name": "srgan"},
    "sr-ugan": {"name": "sr-ugan"},
    "modern": {"name": "modern"},
    "later code": {"name": "sr-ugan", "weights": Weights(classes=1e-3)},
}


def tiny_state(monkeypatch, name, **changes):
    monkeypatch.setattr("srkit.training.state.load_vgg19", tiny_vgg)
    return start(recipe(name, "smoke", unet=(4, 4), **changes), classes=3, device="cpu")


@pytest.mark.parametrize("duel", DUELS)
def test_the_generator_s_terms_give_the_discriminator_no_gradient(duel, monkeypatch):
    state = tiny_state(monkeypatch, **DUELS[duel])
    sr = state.generator(torch.rand(2, 3, 16, 16))
    terms = generator_terms(state, sr, pictures(1, 32), LABELS)
    assert set(terms) == {name for name, w in vars(state.recipe.weights).items() if w}
    losses.generator_loss(terms, state.recipe.weights).backward()
    assert all(p.grad is None for p in state.discriminator.parameters())
    assert all(p.grad is not None for p in state.generator.parameters())


@pytest.mark.parametrize("duel", DUELS)
def test_the_discriminator_s_loss_gives_the_generator_no_gradient(duel, monkeypatch):
    state = tiny_state(monkeypatch, **DUELS[duel])
    sr = state.generator(torch.rand(2, 3, 16, 16)).detach()
    log = discriminator_backward(state, sr, pictures(1, 32), LABELS, 1.0)
    assert ("class" in log) == state.recipe.class_loss
    assert all(p.grad is None for p in state.generator.parameters())
    assert all(p.grad is not None for p in state.discriminator.parameters())


def test_class_loss_trains_the_class_head(monkeypatch):
    state = tiny_state(monkeypatch, "sr-ugan")
    sr = state.generator(torch.rand(2, 3, 16, 16)).detach()
    log = discriminator_backward(state, sr, pictures(1, 32), LABELS, 1.0)
    assert log["class"].item() > 0
    assert state.discriminator.classifier.weight.grad.abs().sum() > 0


# --- VGG19 ---------------------------------------------------------------------------------------


def test_layer_names_are_torchvision_s_indices():
    assert VGG19_LAYERS["relu5_4"] == 35
    assert VGG19_LAYERS["relu2_2"] == 8
    with torch.device("meta"):
        features = torchvision.models.vgg19(weights=None).features
    kinds = {"conv": nn.Conv2d, "relu": nn.ReLU, "pool": nn.MaxPool2d}
    assert len(features) == len(VGG19_LAYERS)
    stage = 1
    for (name, index), module in zip(VGG19_LAYERS.items(), features, strict=True):
        assert features[index] is module
        assert isinstance(module, kinds[name[:4]]) and int(name[4]) == stage
        stage += isinstance(module, nn.MaxPool2d)


def test_untrained_names_itself(untrained):
    assert "UNTRAINED" in untrained.name and untrained.layer == "relu5_4"
    assert len(untrained.network) == 1 + 36  # standardisation, then torchvision's features


def test_untrained_standardises_as_torchvision_does(untrained):
    image = torch.rand(1, 3, 4, 4)
    preset = torchvision.models.VGG19_Weights.IMAGENET1K_V1.transforms()
    expected = torchvision.transforms.functional.normalize(image, preset.mean, preset.std)
    assert torch.allclose(untrained.network[0](image), expected, atol=1e-6)  # float32 rounding


def test_untrained_reaches_the_generator_through_all_of_vgg19(untrained):
    sr = pictures(0, 32).requires_grad_()
    loss = untrained(sr, pictures(1, 32))
    loss.backward()
    assert loss.item() > 0 and sr.grad.abs().sum() > 0


def test_auto_without_any_file_is_the_small_network_and_says_so():
    loss = ContentLoss(load_vgg19("auto"))
    assert "small content network" in loss.name and "by srkit" in loss.name
    assert loss.layer == "relu3_1" and loss.features(pictures(0, 32)).shape == (2, 256, 8, 8)


@pytest.mark.parametrize("layer", ["relu1_1", "relu5_4"])
def test_a_layer_that_the_small_network_lacks_is_refused_not_made_up(layer):
    with pytest.raises(WeightsError, match=f"relu1_2, relu2_2, relu3_1, not {layer}"):
        load_vgg19("auto", layer)


def test_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="relu9_9"):
        load_vgg19("untrained", "relu9_9")


def test_missing_file_is_refused_with_its_path(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pth"):
        load_vgg19(str(tmp_path / "nowhere.pth"))


@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, torch.zeros(3), [1, 2]])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth"):
        load_vgg19(str(tmp_path / "other.pth"))


def test_a_cut_off_vgg19_of_torchvision_s_is_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"part\.pth"):
        load_vgg19(str(tmp_path / "part.pth"))


def test_a_torchvision_file_loads_whatever_the_layer(tmp_path):
    state = {
        f"features.{key}": value
        for key, value in torchvision.models.vgg.make_layers(
            torchvision.models.vgg.cfgs["E"], batch_norm=False
        )
        .state_dict()
        .items()
    }
    torch.save(state, tmp_path / "vgg19.pth")
    loaded = load_vgg19(str(tmp_path / "vgg19.pth"), "relu1_2")
    assert loaded.layer == "relu1_2" and "vgg19.pth" in loaded.name
    image = torch.rand(1, 3, 8, 8)
    first, second = ((state[f"features.{i}.weight"], state[f"features.{i}.bias"]) for i in (0, 2))
    x = torch.relu(torch.conv2d(loaded.network[0](image), *first, padding=1))
    x = torch.relu(torch.conv2d(x, *second, padding=1))
    assert torch.allclose(loaded.network(image), x, atol=1e-5)  # float32 rounding


def test_real_vgg19_reaches_relu3_1_and_says_so(vgg19_file):
    loss = ContentLoss(load_vgg19(str(vgg19_file)))
    assert loss.layer == "relu3_1" and vgg19_file.name in loss.name
    assert loss.feature_scale == 12.75
    assert loss.features(pictures(0, 32)).shape == (2, 256, 8, 8)


def test_real_vgg19_refuses_the_layer_it_lacks(vgg19_file):
    with pytest.raises(WeightsError, match="relu5_4"):
        load_vgg19(str(vgg19_file), "relu5_4")


@pytest.mark.parametrize("layer", ["relu1_1", "relu2_2", "relu3_1"])
def test_real_vgg19_activates_to_a_mean_of_one_on_photographs(vgg19_file, val_folder, layer):
    photos = photo_folder(val_folder, per_class=1)
    loss = ContentLoss(load_vgg19(str(vgg19_file), layer))
    batch = torch.stack([to_tensor(photos[i][64:160, 64:160]) for i in range(len(photos))])
    mean = float(loss.features(norm(batch)).mean() * loss.feature_scale)
    # Normalised on all of ImageNet; ten crops of other photographs are off by some 10%.
    assert mean == pytest.approx(1, abs=0.25)


def test_real_vgg19_tells_pictures_apart(vgg19_file, val_folder):
    loss = ContentLoss(load_vgg19(str(vgg19_file)))
    photos = photo_folder(val_folder, per_class=1)
    hr = norm(torch.stack([to_tensor(photos[i][:64, :64]) for i in range(2)]))
    small = hr + 0.02 * torch.randn_like(hr)
    assert float(loss(hr, hr)) == 0
    assert 0 < float(loss(small, hr)) < float(loss(hr.flip(0), hr))
