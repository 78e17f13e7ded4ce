"""Frames in JupyterLab, by mouse, finger and keyboard."""

CALLED = "frames.explore"


def test_frames_follow_their_sliders(ran):
    for number, frames in enumerate(ran.widgets("frames")):
        frames.move_sliders()
        ran.screenshot(f"frames-{ran.name}-{number}")


def test_what_can_be_dragged_in_a_frame_follows(ran):
    for frames in ran.widgets("frames"):
        moved = frames.find(".move")
        if moved.count():
            with frames.changing("by mouse"):
                frames.drag(moved, (0.4, 0.4), (0.15, 0.15))
            with frames.changing("by finger"):
                frames.drag(moved, (0.15, 0.15), (0.6, 0.9), "finger")
            with frames.changing("by key"):
                frames.keys(moved, "ArrowLeft")


def test_frames_are_legible_in_the_light_and_in_the_dark(ran, looks):
    for number, frames in enumerate(ran.widgets("frames")):
        for look in looks(ran.page):
            frames.assert_legible()
            ran.screenshot(f"frames-{ran.name}-{number}-{look}")
