"""Files written aside and renamed, locked where two may write; and the base of all errors."""

import errno
import hashlib
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class SrkitError(Exception):
    """What a user can mend: the message names the thing, the reason and the next step. Commands
    print it in one line and end with `exit_code`; notebooks may catch this one class."""

    exit_code = 2  # bad input; 1: a run that could not begin or go on


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole or not at all: `with replacing(path) as file: ...`.

    The bytes go to a file of its own name beside `path`, reach the disk, and are renamed over
    `path` in one instant. Whatever fails or interrupts before leaves the old file as it was, and
    nothing beside it. Folders that are missing are made.
    Raises OSError; on a full disk it says which file, and how much of it was there by then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}.part"  # a name has 255 bytes
    part = path.with_name(name)
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        size = part.stat().st_size if part.exists() else 0
        raise disk_full(path, size) from error
    finally:
        part.unlink(missing_ok=True)  # it is still there only where something failed


def disk_full(path: Path, size: int) -> OSError:
    """The error of a full disk, after so many bytes of a file."""
    free = shutil.disk_usage(path.parent).free
    return OSError(
        f"no space left for {path}: it needs more than the {size + free:,} bytes that there were;"
        " free some and run the same command again"
    )


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8 with plain line ends, by `replacing`."""
    with replacing(path) as file:
        file.write(text.encode(errors="surrogateescape"))  # file names of any bytes


def check_writable(path: Path, option: str) -> None:
    """Raise ValueError, naming the option, where a file cannot be written there, its missing
    folders made: nothing else tells of /proc, say, than a file that is tried."""
    if os.path.isdir(path):
        raise ValueError(f"{option} {path} is a folder; name a file in it, such as a{path.suffix}")
    there = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # its name may be too long
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise ValueError(
            f"{option} {path} cannot be written: {there} is no folder to write it in"
            f" ({error.strerror}); name another"
        ) from error


def sha256(path: str | Path) -> str:
    """The hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


# --- One writer at a time ------------------------------------------------------------------------


class LockedError(SrkitError, OSError):
    """Another process is writing the same; the message says which, and what to do."""


@contextmanager
def lock(path: Path, wait: float = 0.0) -> Iterator[None]:
    """One process at a time: `with lock(folder / "lock"): ...`.

    The file is made exclusively, holds the process's id and host, and is touched every minute. One
    that its process left behind is removed: on this host where the process is gone, from another
    host where nobody has touched it for ten minutes. Raises LockedError where another process
    still has it after `wait` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f"{os.getpid()} {socket.gethostname()} {secrets.token_hex(4)}"
    end = time.monotonic() + wait
    while True:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(own)
            break
        except FileExistsError:
            try:
                holder = path.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:  # it has just been released
                continue
            if abandoned(path, holder):
                remove_lock(path, holder)
            elif time.monotonic() >= end:
                process, _, host = holder.rpartition(" ")[0].partition(" ")
                raise LockedError(
                    f"{path.parent} is being written by another process ({process} on {host}): wait"
                    f" until it has ended, or write elsewhere; if none is running, delete {path}"
                ) from None
            else:
                time.sleep(0.02)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            path.unlink(missing_ok=True)  # made, but with nothing in it
            raise disk_full(path, 0) from error
    done = threading.Event()

    def touch() -> None:
        while not done.wait(TOUCHED):
            with suppress(OSError):
                os.utime(path)

    _held.add(own)
    threading.Thread(target=touch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
        _held.discard(own)
        remove_lock(path, own)


TOUCHED = 60.0  # seconds between two times that a lock is touched

_held: set[str] = set()  # this process's locks


def abandoned(path: Path, holder: str) -> bool:
    """Whether the process that holds a lock is gone."""
    parts = holder.split(" ")
    try:
        untouched = time.time() - path.stat().st_mtime
        if len(parts) != 3 or not parts[0].isdigit():  # killed before it had written its name
            return untouched > TOUCHED
        if parts[1] != socket.gethostname() or os.name == "nt":
            return untouched > 10 * TOUCHED
        if int(parts[0]) == os.getpid():  # in a restarted container ids come again
            return holder not in _held
        os.kill(int(parts[0]), 0)  # only asks whether there is one
        state = Path("/proc", parts[0], "stat").read_text().rpartition(")")[2].split()[:1]
        return state == ["Z"]  # ended, though its parent has not asked for its exit code
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # another user's process, no /proc, or the lock has gone meanwhile
        return False
    return False


def remove_lock(path: Path, holder: str) -> None:
    """Delete a lock if it is `holder`'s. It is moved aside before it is looked at, so that of two
    processes that remove an old one neither takes the other's new one for it."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if aside.read_text(encoding="utf-8", errors="replace") != holder and not path.exists():
        aside.rename(path)
    aside.unlink(missing_ok=True)
