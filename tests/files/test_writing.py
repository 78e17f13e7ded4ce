"""Files under faults: full disks, two writers, and servers that break off, stall or lie."""

import errno
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srkit.files import LockedError, check_writable, lock, replacing, writing

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
        assert (tmp_path / "lock").read_text().startswith(f"{os.getpid()} ")


@pytest.mark.parametrize(
    ("holder", "age", "taken"),
    [
        ("1 elsewhere ab", 300, False),  # of another host: its process may be there
        ("1 elsewhere ab", 900, True),
        (f"{os.getpid()} {socket.gethostname()} ab", 0, True),  # of another life of this id
        (f"1 {socket.gethostname()} ab", 1e6, False),  # process 1 is always there
        ("", 0, False),  # about to write its name
        ("", 120, True),
        ("nonsense", 120, True),
    ],
    ids=[
        "elsewhere",
        "elsewhere-old",
        "another-life",
        "process-1",
        "no-name",
        "old-no-name",
        "nonsense",
    ],
)
def test_other_locks_are_left_alone(tmp_path, holder, age, taken):
    path = tmp_path / "lock"
    path.write_text(holder)
    os.utime(path, (time.time() - age,) * 2)
    if taken:
        with lock(path):
            pass
    else:
        with pytest.raises(LockedError), lock(path):
            pass
        assert path.read_text() == holder


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")
def test_a_lock_of_a_process_that_nobody_has_waited_for_is_taken_over(tmp_path):
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the table
    (tmp_path / "lock").write_text(f"{child.pid} {socket.gethostname()} ab")
    with lock(tmp_path / "lock"):
        pass
    child.wait()


def test_a_lock_is_touched_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "TOUCHED", 0.02)
    with lock(tmp_path / "lock"):
        os.utime(tmp_path / "lock", (0, 0))
        time.sleep(0.3)
        assert time.time() - (tmp_path / "lock").stat().st_mtime < 5


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


def test_a_lock_of_the_future_is_no_more_than_a_lock(tmp_path):
    """A clock that was set back leaves files of the future."""
    program = [sys.executable, "-c", "import os; print(os.getpid())"]
    ended = subprocess.run(program, capture_output=True)
    path, ahead = tmp_path / "lock", time.time() + 86_400
    path.write_text(f"{int(ended.stdout)} {socket.gethostname()} abc")
    os.utime(path, (ahead, ahead))
    with lock(path):
        os.utime(path, (ahead, ahead))
        with pytest.raises(LockedError), lock(path):
            pass
    assert not path.exists()
