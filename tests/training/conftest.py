"""What the tests of this folder share."""

import pytest
import torch
from torch import nn

from srkit.models import VGG19


@pytest.fixture
def tiny_vgg(monkeypatch):
    """One convolution in place of VGG19: these tests are about the loop."""

    def load(*_):
        torch.manual_seed(1)
        return VGG19(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()), "relu1_1", "tiny")

    monkeypatch.setattr("srkit.training.state.load_vgg19", load)
