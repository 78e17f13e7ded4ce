"""Interactive pages: complete by themselves, and a line to the kernel."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from srkit.notebook import embed


def page(data=None, answer=None) -> embed.Page:
    return embed.Page("frames", {"title": "A </script> title", **(data or {})}, answer)


def test_a_page_is_html_alone_and_loads_nothing():
    bundle = page()._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}  # a widget's view would need a kernel
    html = bundle["text/html"].replace("http://www.w3.org/2000/svg", "")  # a name
    assert not re.search(r"https?://|import\s*\(|\bimport\b.*\bfrom\b", html)


def test_data_cannot_end_the_script():
    html = page({"text": "</script><b>"}).html()
    assert html.count("</script>") == 1 and html.endswith("</script>")
    assert "A &lt;/script&gt; title" in html


def test_the_scripts_are_modules_of_plain_functions():
    for path in map(embed.WEB.joinpath, ("page.js", "link.js", "viewer.js", "frames.js")):
        text = path.read_text()
        assert "innerHTML" not in text and "eval(" not in text, path.name


def test_what_a_page_asks_is_answered_and_what_is_sent_arrives(monkeypatch):
    heard, sent = [], []
    one = page(answer=lambda message, files: heard.append((message, files)))
    monkeypatch.setattr(one.link, "send", sent.append)
    one.link._handle_custom_msg({"ask": "photo"}, [b"file"])
    one.send({"kind": "photo"})
    assert heard == [({"ask": "photo"}, [b"file"])] and sent == [{"kind": "photo"}]
    assert one.link.page == one.name in one.html()
    one.link._handle_custom_msg({"ask": "hello"}, [])  # a page looks whether its kernel runs
    assert len(heard) == 1 and sent[1:] == [{"hello": True}]


def test_without_an_answer_there_is_no_line_and_sending_does_nothing():
    one = page()
    one.send({"kind": "photo"})
    assert one.link is None


def test_a_png_keeps_every_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    url = embed.png(Image.fromarray(pixels))
    back = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    assert np.array_equal(np.asarray(back), pixels)


@pytest.mark.parametrize("kind", ["viewer", "frames"])
def test_a_page_calls_the_function_of_its_script(kind):
    assert f"function {kind}(data, kernel)" in embed.asset(f"{kind}.js")


def test_data_is_json():
    html = page({"number": 1.5}).html()
    (call,) = re.findall(r"^start\((.*)\);$", html, flags=re.MULTILINE)
    name, kind, rest = call.split(", ", 2)
    assert (json.loads(name), kind) and json.JSONDecoder().raw_decode(rest)[0]["number"] == 1.5


def test_messages_go_to_the_subshell_that_the_page_names_while_a_cell_is_busy():
    one = page(answer=lambda message, files: None)
    assert one.link.comm._reply_subshell_for({"content": {}}, "theirs") == "theirs"
