"""Downloads from a server of our own."""

import hashlib
import http.server
import threading
import time

import pytest

from srkit.files import LockedError, download, downloads, lock

CONTENT = bytes(range(256)) * 400
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT: whole, the rest of it, up to its middle, or another thing."""

    asked: list = []  # noqa: RUF012

    def do_GET(self):
        asked = self.headers.get("Range")
        self.asked.append((self.path, asked))
        content = b"another" * 99 if self.path == "/other" else CONTENT
        start = int(asked[6:-1]) if asked and self.path != "/no-ranges" else 0
        if self.path == "/absent":
            self.send_error(404)
            return
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.path in ("/breaks", "/stalls") and not start:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            time.sleep(2 if self.path == "/stalls" else 0)
            return
        self.wfile.write(content[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def url(monkeypatch):
    Server.asked = []
    monkeypatch.setattr(downloads, "SILENCE", 0.5)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_download_says_what_and_from_where_and_is_checked(url, tmp_path, capsys):
    download(f"{url}/whole", tmp_path / "a" / "file.pth", DIGEST)
    assert (tmp_path / "a" / "file.pth").read_bytes() == CONTENT
    assert [f.name for f in (tmp_path / "a").iterdir()] == ["file.pth"]
    said = capsys.readouterr()
    assert f"downloading {url}/whole to {tmp_path}" in said.out and "100%" in said.err


@pytest.mark.parametrize(("path", "why"), [("stalls", "timed out"), ("breaks", "broke off after")])
def test_a_download_that_breaks_off_or_stalls_goes_on_later(url, tmp_path, path, why):
    target, began = tmp_path / "file.pth", time.monotonic()
    with pytest.raises(OSError, match=rf"{why}.* put it at .*file\.pth"):
        download(f"{url}/{path}", target, DIGEST)
    assert time.monotonic() - began < 5
    half = len(CONTENT) // 2
    assert not target.exists() and (tmp_path / "file.pth.part").stat().st_size == half
    download(f"{url}/{path}", target, DIGEST)
    assert target.read_bytes() == CONTENT and list(tmp_path.iterdir()) == [target]
    assert Server.asked == [(f"/{path}", None), (f"/{path}", f"bytes={half}-")]


@pytest.mark.parametrize("there", [len(CONTENT) // 2, len(CONTENT)])
@pytest.mark.parametrize("path", ["whole", "no-ranges"])
def test_what_is_there_already_is_used_or_replaced(url, tmp_path, there, path):
    (tmp_path / "file.pth.part").write_bytes(CONTENT[:there])
    download(f"{url}/{path}", tmp_path / "file.pth", DIGEST)
    assert (tmp_path / "file.pth").read_bytes() == CONTENT


def test_another_file_is_not_kept(url, tmp_path):
    with pytest.raises(OSError, match=rf"is not that file: .*, not {DIGEST[:8]}"):
        download(f"{url}/other", tmp_path / "file.pth", DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_said(url, tmp_path):
    with pytest.raises(OSError, match=r"404.*file\.pth"):
        download(f"{url}/absent", tmp_path / "file.pth", DIGEST)
    nobody = "http://127.0.0.1:1/file.pth"
    with pytest.raises(OSError, match="refused"):
        download(nobody, tmp_path / "file.pth", DIGEST)


def test_two_downloads_into_one_file_are_refused(url, tmp_path):
    with lock(tmp_path / "file.pth.lock"), pytest.raises(LockedError):
        download(f"{url}/whole", tmp_path / "file.pth", DIGEST)
