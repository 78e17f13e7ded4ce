"""A prediction in JupyterLab: nothing is revealed before *Show*, and all of it can be typed."""

# Bring the code cell with some text in its source into view.
SHOW_CELL = """text => {
  const panel = window.jupyterapp.shell.currentWidget.content;
  const at = panel.widgets.findIndex(w => w.model.sharedModel.getSource().includes(text));
  panel.activeCellIndex = at;
  return panel.scrollToItem(at, "start");
}"""


def test_a_prediction_is_made_by_keyboard_and_stands_beside_the_outcome(open_notebook, page):
    notebook = open_notebook("01_interpolation_baselines")
    assert notebook.run_all()["errors"] == []
    page.evaluate(SHOW_CELL, "made without antialias?")
    cell = page.locator(".jp-CodeCell").filter(has_text="made without antialias?")
    button = cell.get_by_role("button", name="Show")
    button.wait_for()
    assert cell.locator(".jp-OutputArea img").count() == 0
    first = cell.get_by_role("radio").first
    first.focus()
    page.keyboard.press("Space")
    button.focus()
    page.keyboard.press("Enter")
    cell.locator(".jp-OutputArea img").wait_for()
    assert "You said: grey. Outcome: new, coarser rings, not as you said." in cell.inner_text()
    assert button.is_disabled()
    notebook.screenshot("prediction")
