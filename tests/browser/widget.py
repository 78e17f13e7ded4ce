"""An interactive page of ours, worked by mouse, keys and finger, and looked at."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOKS = Path(__file__).with_name("looks.js").read_text(encoding="utf-8")

PICTURES = "canvas, img, svg.plot"
BEYOND_ITS_MIDDLE = "slider => 2 * slider.value > Number(slider.min) + Number(slider.max)"


class Widget:
    """An interactive page in a notebook, or on another page, worked by mouse, keys and finger."""

    def __init__(self, page, node):
        self.page, self.node = page, node

    def find(self, css: str):
        """Its elements, by CSS or as Playwright finds them."""
        return self.node.locator(css)

    def look(self, how: str, given: object = None):
        """What one of the functions of looks.js finds."""
        return self.node.evaluate(f"(host, given) => {LOOKS.strip()}.{how}(host, given)", given)

    def drawn(self, css: str = PICTURES) -> str:
        """What is to be seen in its pictures."""
        return self.look("drawn", css)

    @contextmanager
    def changing(self, what: str, css: str = PICTURES, seconds: float = 60):
        """What is done meanwhile must change its pictures."""
        before = self.settled(css)
        yield
        end = time.monotonic() + seconds
        while self.drawn(css) == before:
            assert time.monotonic() < end, f"{what}: nothing changes"
            self.page.wait_for_timeout(50)

    def settled(self, css: str = PICTURES) -> str:
        """Wait until nothing is redrawn any more; returns what is to be seen."""
        last = None
        for _ in range(200):
            now = self.drawn(css)
            if now == last:
                return now
            last = now
            self.page.wait_for_timeout(100)
        raise AssertionError("it never comes to rest")

    def drag(self, control, start: tuple[float, float], end: tuple[float, float], hand="mouse"):
        """Drag over an element from one place to another, as shares of its width and height, with
        the "mouse" or a "finger"."""
        control.scroll_into_view_if_needed()
        box = control.bounding_box()
        path = [
            (
                box["x"] + box["width"] * (start[0] + (end[0] - start[0]) * n / 8),
                box["y"] + box["height"] * (start[1] + (end[1] - start[1]) * n / 8),
            )
            for n in range(9)
        ]
        if hand == "mouse":
            self.page.mouse.move(*path[0])
            self.page.mouse.down()
            for place in path[1:]:
                self.page.mouse.move(*place)
            self.page.mouse.up()
        else:
            touch = self.page.context.new_cdp_session(self.page)
            kinds = ["touchStart", *["touchMove"] * 8, "touchEnd"]
            for kind, (x, y) in zip(kinds, [*path, path[-1]], strict=True):
                points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            touch.detach()

    def tap(self, control):
        """Touch an element with a finger."""
        self.drag(control, (0.5, 0.5), (0.5, 0.5), "finger")

    def keys(self, control, *keys: str):
        """Press keys on an element."""
        control.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def move_sliders(self, css: str = PICTURES):
        """Move each slider that can be seen by mouse, finger and keyboard: each time it shows."""
        sliders = self.find("input[type=range]:visible")
        for number in range(sliders.count()):
            slider = sliders.nth(number)
            name = slider.get_attribute("aria-label")
            for hand in ("mouse", "finger"):
                end = 0.05 if slider.evaluate(BEYOND_ITS_MIDDLE) else 0.95
                with self.changing(f"{name} by {hand}", css):
                    self.drag(slider, (0.5, 0.5), (end, 0.5), hand)
            key = "ArrowLeft" if slider.evaluate(BEYOND_ITS_MIDDLE) else "ArrowRight"
            with self.changing(f"{name} by key", css):
                self.keys(slider, key)

    def each_tab(self) -> Iterator[str]:
        """Open its tabs one after the other, and tell their names; "" where it has none."""
        names = self.find("[role=tab]:visible").all_inner_texts()
        for name in names:
            self.find("[role=tab]").get_by_text(name, exact=True).click()
            self.settled()
            yield name
        if not names:
            yield ""

    def assert_legible(self):
        """Nothing on it is faint, tiny, cut off, or too small for a finger."""
        for fault in ("faint", "cramped"):
            found = self.look(fault)
            assert not found, f"{fault}: {found}"
