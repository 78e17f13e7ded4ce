"""A recipe beside what its source says, in the report's own words."""

import pytest

from srkit.losses import Weights
from srkit.training import as_published
from srkit.training.as_published import beside_the_report
from srkit.training.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_stands_beside_what_its_source_says(name):
    rows = beside_the_report(recipe(name, "paper"))
    assert len(rows) >= 11
    for ours, said, where in rows:
        assert ours and said and (where == "–") == (said == "not stated")
        assert ("Ledig" in where) <= (name.removesuffix("-4x") in ("srresnet", "srgan"))


def test_a_table_names_what_was_changed():
    plan = recipe(
        "sr-ugan",
        "paper",
        weights=Weights(2.0, 0.5, 0.0, 0.01),
        lr_filter="lanczos",
        precision="bf16",
        accumulate=3,
        compile=True,
        start_from="x.safetensors",
    )
    text = "\n".join(ours for ours, _, _ in beside_the_report(plan))
    for part in (
        "2 MSE + 0.5 content\n",
        "Lanczos",
        "bf16, compiled",
        "batch 3, in 3 parts",
        "0.01 of it",
        "start: a trained generator",
        "SR-UGAN's: validity and class",
        "600,000 crops",
    ):
        assert part in text
    assert "discriminator" not in as_published.summary(recipe("srresnet"))


def test_the_report_s_words_are_the_report_s(report_text):
    text = " ".join(report_text.split())
    statements = [*as_published.REPORT.values(), as_published.NATIVE_4X]
    for said in as_published.REPORT_BY_MODEL.values():
        statements += said.values()
    quotes = [quote for statement, _ in statements for quote in statement.split('"')[1::2]]
    assert len(quotes) >= 10
    assert [quote for quote in quotes if quote not in text] == []
