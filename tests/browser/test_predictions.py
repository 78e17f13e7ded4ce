"""A prediction in JupyterLab: nothing is revealed before *Show*, and all of it can be typed."""

CALLED = "made without antialias?"


def test_a_prediction_is_made_by_keyboard_and_stands_beside_the_outcome(ran):
    cell, page = ran.show_cell(CALLED), ran.page
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
    ran.screenshot("prediction")
