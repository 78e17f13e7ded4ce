"""The training panel: its buttons, what the page is told, and a stopped run that stays usable."""

import threading
import time

import pytest

from srkit.notebook import panel as module
from srkit.notebook.panel import Panel
from srkit.notebook.session import begin
from srkit.training.recipes import recipe
from srkit.training.run_folder import read_log, sample_files

PLAN = recipe("srresnet", "smoke", iterations=12, sample_every=4, log_every=2, watch=1)


@pytest.fixture
def panel(tmp_path, monkeypatch):
    """A panel over a real session, in a folder of its own, and what it sends."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("SRKIT_ROOT", str(tmp_path))
    one = Panel(begin("smoke", device="cpu"), [PLAN], 25.0, workers=0)
    one.sent = []
    monkeypatch.setattr(one, "send", one.sent.append)
    monkeypatch.setattr(module, "display", lambda page, display_id: Shown())
    return one


class Shown:
    """IPython's handle of something displayed."""

    def update(self, page):
        self.page = page


def press(panel, ask: str, **more) -> None:
    panel.answer({"ask": ask, **more}, [])


def at_step(panel, step: int, ask: str) -> None:
    """Press a button once the page has been told of an update."""

    def told(message):
        panel.sent.append(message)
        if message.get("row", {}).get("step") == step:
            press(panel, ask)

    panel.send = told


def until(panel, *states: str) -> None:
    for _ in range(600):
        if panel.state in states and (panel.state == "paused" or not panel.busy.locked()):
            return
        time.sleep(0.05)
    raise AssertionError(f"still {panel.state}")


def test_a_run_tells_every_logged_line_and_keeps_its_last_state(panel):
    folder = panel.run()
    steps = [row["step"] for row in read_log(folder)]
    assert [m["row"]["step"] for m in panel.sent if "row" in m] == steps and steps[-1] == 12
    assert [m["sample"][0] for m in panel.sent if "sample" in m] == [
        f"update {step}" for step in sample_files(folder)
    ]
    assert panel.state == "finished" and panel.handle.page is panel
    assert panel.data["runs"][""][-1]["step"] == 12 and panel.data["samples"][-1][0] == "update 12"


def test_stopping_is_no_error_and_what_was_done_is_there(panel):
    at_step(panel, 4, "stop")
    folder = panel.run()
    assert panel.state == "stopped"
    assert read_log(folder)[-1]["step"] == 4 and (folder / "generator.safetensors").is_file()
    assert panel.everything()["samples"][-1][0] == "update 4"


def test_the_notebooks_own_stop_is_no_error_either(panel, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(panel.session), "train_stages", interrupted)
    panel.run()
    assert panel.state == "stopped"


def test_a_stopped_run_goes_on_beside_the_cells(panel):
    at_step(panel, 4, "stop")
    folder = panel.run()
    press(panel, "go")
    until(panel, "finished")
    assert [row["step"] for row in read_log(folder)][-1] == 12


def test_a_paused_run_waits(panel):
    at_step(panel, 4, "pause")
    thread = threading.Thread(target=panel.run)
    thread.start()
    until(panel, "paused")
    time.sleep(0.3)
    assert read_log(panel.folder)[-1]["step"] == 4
    press(panel, "go")
    thread.join(120)
    assert panel.state == "finished" and read_log(panel.folder)[-1]["step"] == 12


def test_a_paused_run_can_be_stopped(panel):
    at_step(panel, 4, "pause")
    thread = threading.Thread(target=panel.run)
    thread.start()
    until(panel, "paused")
    press(panel, "stop")
    thread.join(120)
    assert panel.state == "stopped"


def test_weights_of_ones_own_train_beside_the_run(panel):
    folder = panel.run()
    press(panel, "play", weights={"mse": 0.1, "content": 0.0, "adversarial": 0.0})
    until(panel, "finished")
    shown = panel.everything()
    assert shown["part"] == "-yours" and shown["runs"]["-yours"][-1]["step"] == 12
    first, yours = (read_log(f)[-1] for f in (folder, folder.with_name(f"{folder.name}-yours")))
    assert yours["generator"] == pytest.approx(0.1 * yours["mse"])
    assert first["generator"] == pytest.approx(first["mse"])


def test_training_waits_for_start_where_it_is_told_to(panel):
    panel.run(wait=True)
    assert panel.state == "ready" and not panel.sent
    press(panel, "go")
    until(panel, "finished")


def test_a_failure_in_the_background_is_shown(panel, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no room")

    monkeypatch.setattr(type(panel.session), "train_stages", fail)
    press(panel, "go")
    until(panel, "failed: no room")
    with pytest.raises(ValueError, match="no room"):
        panel.run()


def test_a_page_that_opens_later_asks_for_everything(panel):
    press(panel, "all")
    (message,) = panel.sent
    assert message["all"]["total"] == 12 and message["all"]["state"] == "ready"
