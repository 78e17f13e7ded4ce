"""Files under faults: full disks, two writers, and servers that break off, stall or lie."""

import errno
import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from srkit.files import LockedError, check_writable, lock, replacing

# --- Writing -------------------------------------------------------------------------------------


def test_a_full_disk_is_named_with_the_file_and_its_size(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("old")
    with pytest.raises(OSError, match=r"no space left for .*results\.json: it needs more than"):  # noqa: SIM117
        with replacing(path) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_name_of_255_bytes_is_written(tmp_path):
    path = tmp_path / ("ü" * 125 + "n.png")
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("place", ["/proc/a.png", "{tmp}/file/a.png", "{tmp}/" + "a" * 256])
def test_a_place_where_no_file_can_be_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    path = Path(place.format(tmp=tmp_path))
    with pytest.raises(ValueError, match=r"-o .* cannot be written: .* \(.+\); name another"):
        check_writable(path, "-o")
    check_writable(tmp_path / "new" / "a.png", "-o")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]  # nothing is left of the try


# --- Locks ---------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path):
    with lock(tmp_path / "lock"):
        with pytest.raises(LockedError, match=rf"{os.getpid()} on {socket.gethostname()}.*delete"):  # noqa: SIM117
            with lock(tmp_path / "lock"):
                pass
        assert (tmp_path / "lock").is_file()
    assert list(tmp_path.iterdir()) == []
    with lock(tmp_path / "lock"):
        pass


def test_a_lock_is_released_whatever_happens(tmp_path):
    with pytest.raises(KeyboardInterrupt), lock(tmp_path / "lock"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_a_process_that_is_gone_is_taken_over(tmp_path):
    program = (
        "import os; from pathlib import Path; from srkit.files import lock\n"
        f"with lock(Path({str(tmp_path / 'lock')!r})): os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "lock").is_file()
    with lock(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text().startswith(f"{os.getpid()}\n")


def test_a_lock_of_another_host_is_left_alone(tmp_path):
    path = tmp_path / "lock"
    path.write_text("1\nelsewhere\n")
    with pytest.raises(LockedError, match=r"\(1 on elsewhere\): wait .* delete .*lock"), lock(path):
        pass
    assert path.read_text() == "1\nelsewhere\n"


def count_up(folder, times):
    for _ in range(times):
        with lock(folder / "lock", wait=30):
            number = int((folder / "number").read_text())
            (folder / "number").write_text(str(number + 1))


def test_two_processes_take_turns(tmp_path):
    (tmp_path / "number").write_text("0")
    started = multiprocessing.get_context("spawn")
    others = [started.Process(target=count_up, args=(tmp_path, 40)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert (tmp_path / "number").read_text() == "80"
    assert not (tmp_path / "lock").exists()
