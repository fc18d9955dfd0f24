"""Files that are whole after a crash: written beside and renamed, or locked and appended to."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

TEMPORARY = ".tmp-"


def write_whole(path: Path, data: bytes, *, exclusive: bool = False) -> None:
    """Write `data` so that `path` holds either what it held before or all of `data`, and `data` once this returns.

    Raises:
        FileExistsError: `exclusive`, and `path` is there already; it is left as it is.
    """
    make_folder(path.parent)
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if exclusive:
            os.link(temporary, path)  # Unlike a rename, refuses to replace what another process just made.
        else:
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_leftovers(folder: Path, before: datetime) -> None:
    """Remove what writers that were killed before that time had not finished."""
    for path in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < before.timestamp():
                path.unlink()


def write_all(descriptor: int, data: bytes) -> None:
    """One write; only a disk that is nearly full needs a second, which tells what is wrong."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def remove(path: Path) -> bool:
    """Whether it was there; it is gone for good once this returns."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder") from None
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable: a rename that was not synced may be undone by a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, to_write: bool = False) -> Iterator[int]:
    """The open descriptor of `path`, alone with it if `to_write`, else together with other readers.

    The lock is on the file itself, so it goes with the process that holds it and leaves nothing behind.

    Raises:
        FileNotFoundError: there is no such file, or it was removed while this waited.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR if to_write else os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if to_write else fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                yield descriptor
                return
        finally:
            # Closing alone would leave the lock with a child that another thread forked meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def read_all(descriptor: int) -> bytes:
    """The whole file, from its beginning."""
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        file.seek(0)
        return file.read()
