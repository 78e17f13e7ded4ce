"""Files: written aside and renamed, locked, downloaded; pictures in files, with all they carry."""

from srkit.files.downloads import download
from srkit.files.writing import (
    LockedError,
    SrkitError,
    check_writable,
    lock,
    replacing,
    sha256,
    write_text,
)
