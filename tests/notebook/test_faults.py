"""What is broken on purpose is broken in one place alone."""

import torch

from srkit import models, weights
from srkit.losses import Weights
from srkit.notebook import faults
from srkit.training.recipes import RECIPES, recipe


def test_broken_recipes_differ_in_their_weights_alone():
    recipes = faults.broken_recipes("smoke", 3)
    healthy = vars(recipes["healthy"])
    for name, broken in recipes.items():
        other = {field for field, value in vars(broken).items() if value != healthy[field]}
        assert other == (set() if name == "healthy" else {"weights"}), name
    assert recipes["no MSE"].weights.mse == 0 and recipes["no MSE"].seed == 3
    assert recipes["adversarial weight 1e-12"].weights.adversarial == 1e-12


def test_the_second_stage_goes_on_from_the_shipped_srresnet_by_eq_5():
    plan = faults.second_stage("smoke", 3)
    settings = weights.load_generator(plan.start_from, "srresnet")[1]["settings"]
    assert (plan.blocks, plan.width) == (settings["blocks"], settings["width"])
    assert plan.weights == Weights(1, 10, 1e-3) and plan.freeze_batchnorm and plan.seed == 3
    assert plan.folder not in [recipe(name, "smoke").folder for name in RECIPES]


def test_forgotten_statistics_are_those_of_a_fresh_layer_and_only_of_the_copy():
    network = models.SRGANGenerator(blocks=1, width=4)
    network(torch.rand(2, 3, 8, 8))
    moved = network.merge[1].running_mean.clone()
    forgotten = faults.without_statistics(network)
    assert torch.equal(network.merge[1].running_mean, moved) and moved.abs().sum() > 0
    assert float(forgotten.merge[1].running_mean.abs().sum()) == 0
    assert torch.equal(forgotten.merge[1].weight, network.merge[1].weight)
