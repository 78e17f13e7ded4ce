"""Downloads: gone on with, checked by their hash, and renamed when whole."""

import http.client
import os
import urllib.request
from pathlib import Path

from tqdm import tqdm

from srkit.files.writing import lock, sha256

SILENCE = 30.0  # seconds without a connection, or without a byte, after which a download ends


def download(url: str, path: Path, digest: str) -> None:
    """Fetch a file whose SHA-256 is `digest`; says what and from where, with progress.

    It is put together in `path`.part, which a download that broke off leaves and the next one goes
    on with, and renamed when its hash is right. Raises OSError saying what failed, and what to put
    where by hand.
    """
    by_hand = f"run it again to go on, or get {url} in another way and put it at {path}"
    part = path.with_name(f"{path.name}.part")
    print(f"downloading {url} to {path}", flush=True)
    with lock(path.with_name(f"{path.name}.lock")):
        try:
            fetch(url, part)
        except (OSError, http.client.HTTPException) as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise OSError(f"no download of {url}: {what}; {by_hand}") from error
        found = sha256(part)
        if found != digest:
            part.unlink()
            raise OSError(
                f"what {url} gave is not that file: its SHA-256 is {found[:8]}..., not"
                f" {digest[:8]}...; {by_hand}"
            )
        os.replace(part, path)


def fetch(url: str, part: Path) -> None:
    """The bytes of a URL from where `part` ends. Raises OSError where it breaks off."""
    there = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        answer = urllib.request.urlopen(request, timeout=SILENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not there:  # 416: nothing is left to send
            raise
        return
    with answer:
        goes_on = answer.status == 206
        there = there if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = there + int(length) if length else None
        bar = tqdm(total=total, initial=there, unit="B", unit_scale=True, desc=part.stem)
        with bar, part.open("ab" if goes_on else "wb") as file:
            while block := answer.read1(1 << 20):
                file.write(block)
                bar.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise OSError(f"it broke off after {part.stat().st_size:,} of {total:,} bytes")
