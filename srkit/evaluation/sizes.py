"""How large the networks of Figures 1 and 2 are, their cost, and how far SRGAN looks, as rows."""

import torch

from srkit import models
from srkit.evaluation.results import Row, Run

CONTEXT = "gradient probe, 96x96 input, output pixels"


def size_rows(run: Run) -> list[Row]:
    """Parameters (in millions) and GFLOP of both generators and of SRGAN's discriminator. They are
    built on PyTorch's meta device, where a tensor has a shape and no content: counting is free."""
    facts = {"dataset": "no data", "n": 0, "scale": 2}
    with torch.device("meta"):
        generators = {"srgan": models.SRGANGenerator(), "sr-ugan": models.SRUGANGenerator()}
        native, discriminator = models.SRGANGenerator(4), models.SRGANDiscriminator()
    rows = []
    for method, network in generators.items():
        gflop, millions = models.count_gflop(network, 128, 128), parameters(network)
        rows.append(run.row(method, "Generator GFLOP", gflop, "forward, 128x128 input", **facts))
        rows.append(run.row(method, "Generator parameters", millions, "millions", **facts))
    name, more = "SRGAN generator parameters", facts | {"scale": 4}
    rows.append(run.row("srgan", name, parameters(generators["srgan"]), "millions", **facts))
    rows.append(run.row("srgan", name, parameters(native), "millions", **more))
    name = "SRGAN discriminator parameters"
    rows.append(run.row("srgan", name, parameters(discriminator), "millions", **facts))
    return rows


def radius_row(run: Run) -> Row:
    """How far a full-size SRGAN looks, in output pixels, by a gradient probe (section 4.2)."""
    radius = models.receptive_radius(models.SRGANGenerator(), 96)
    facts = {"dataset": "no data", "n": 0, "scale": 2}
    return run.row("srgan", "Receptive radius, full size", radius, CONTEXT, **facts)


def parameters(network: torch.nn.Module) -> float:
    """In millions."""
    return models.count_parameters(network) / 1e6
