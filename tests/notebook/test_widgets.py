"""Widgets: every value of every control draws. What their drawing functions raise is seen here, as
they are called themselves: in a callback ipywidgets would catch it."""

import numpy as np
import pytest
import torch
from ipywidgets import interactive
from matplotlib.figure import Figure
from PIL import Image

from srkit import models
from srkit.notebook import widgets
from srkit.upscale import upscale


def noise(side: int = 96) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(values)


def values_of(control) -> list:
    """All that a control can be set to."""
    if hasattr(control, "options"):
        return [value[1] if isinstance(value, tuple) else value for value in control.options]
    count = round((control.max - control.min) / control.step)
    return [control.min + control.step * n for n in range(count + 1)]


def draw_all(box: interactive) -> list[Figure]:
    """The figure of each value of each control, the other controls as they are."""
    controls = {control._kwarg: control for control in box.kwargs_widgets}
    start = {name: control.value for name, control in controls.items()}
    assert isinstance(box.result, Figure), "what it shows at first"
    drawn = [
        box.f(**start | {name: value})
        for name, control in controls.items()
        for value in values_of(control)
    ]
    assert len(drawn) > len(controls) and all(isinstance(figure, Figure) for figure in drawn)
    return drawn


def titles(figures: list[Figure]) -> list[str]:
    return [figure.axes[0].get_title() for figure in figures]


def test_methods_and_squares_are_drawn_and_each_method_predicts_once():
    asked = []

    def predict(lr, method):
        asked.append(method)
        return upscale(lr, method, 2)

    drawn = draw_all(widgets.explore_methods(noise(), ["nearest", "bicubic"], predict))
    assert asked == ["nearest", "bicubic"]
    assert [title.split(":")[0] for title in titles(drawn)[:2]] == ["Nearest-neighbor", "Bicubic"]
    assert {figure.axes[0].images[0].get_array().shape for figure in drawn} == {(64, 64, 3)}


def test_a_square_is_the_same_in_prediction_and_hr():
    hr, sr = noise(), noise().rotate(90)
    figure = widgets.draw_method(hr, "90 degrees", sr, (8, 16, 40, 48))
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    for picture, whole in zip(shown, (sr, hr), strict=False):
        assert np.array_equal(picture, np.asarray(whole)[16:48, 8:40])
    assert np.array_equal(shown[2], np.asarray(hr))


def test_samples_are_drawn_in_order(tmp_path):
    (tmp_path / "samples").mkdir()
    for name in ("samples/step_0000020.png", "samples/step_0000001.png", "held_out.png"):
        noise(16).save(tmp_path / name)
    drawn = draw_all(widgets.explore_samples(tmp_path))
    assert titles(drawn) == ["update 1", "update 20", "HR"]
    with pytest.raises(ValueError, match="train first"):
        widgets.explore_samples(tmp_path / "none")


def test_receptive_fields_are_drawn():
    networks = {f"{n} blocks": models.SRGANGenerator(blocks=n, width=4) for n in (1, 2)}
    drawn = draw_all(widgets.explore_receptive_field(networks))
    assert titles(drawn)[1:3] == ["2 blocks, 96x96 input", "1 blocks, 32x32 input"]


def test_attention_is_drawn():
    network = models.SRUGANGenerator(blocks=1, width=8, wide=8, unet=(8, 8))
    pictures = {"a": torch.rand(3, 8, 8), "b": torch.rand(3, 8, 8)}
    box = widgets.explore_attention(network, pictures)
    assert box.children[1].options[-1] == ("upsample 1", "upsample.0.attention")
    layers = [figure.axes[1].get_title() for figure in draw_all(box)]
    assert layers[2:] == ["unet, down 1", "unet, down 2", "unet, up 1", "upsample 1"]


def test_gaussians_are_drawn_with_their_distance():
    drawn = draw_all(widgets.explore_gaussians())
    assert len(drawn) == 25 + 12 + 19
    assert titles(drawn)[0] == "squared Frechet distance 9.250"  # 3 ** 2 + (1.5 - 1) ** 2


def test_a_widget_shows_its_figure_and_the_next_one(monkeypatch):
    shown = []
    monkeypatch.setattr("ipywidgets.widgets.interaction.display", shown.append)
    box = widgets.explore_gaussians()
    box.children[0].value = 2.0
    assert titles(shown) == ["squared Frechet distance 1.250", "squared Frechet distance 4.250"]


def test_a_drawing_function_that_fails_is_seen():
    def fail(side: int) -> Figure:
        raise ZeroDivisionError

    box = widgets.widget(fail, side=widgets.IntSlider(1, 1, 2))
    with pytest.raises(ZeroDivisionError):
        box.f(side=1)


@pytest.mark.parametrize(
    ("answer", "said"), [(None, "not answered"), (80, "right: 80"), (81, "81 is not it")]
)
def test_exercises_judge_answers(answer, said, capsys):
    widgets.check_answer(answer, 80)
    assert said in capsys.readouterr().out
