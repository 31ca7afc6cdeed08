"""A real small disk that a test can fill: a tmpfs of its own, unmounted in the end. Needs root."""

import os
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_CHUNKS_BYTES = (1 << 20, 1 << 12, 1)
_BUSY_S = 10.0


class SmallDisk:
    """A context manager: an empty file system of `size_bytes` at `folder`."""

    def __init__(self, folder, size_bytes):
        self.folder = Path(folder)
        self._size_bytes = size_bytes
        self._ballast = self.folder / "ballast"

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        _mount("mount", "-t", "tmpfs", "-o", f"size={self._size_bytes},mode=700", "joulelab-test", str(self.folder))
        return self

    def __exit__(self, *_):
        deadline = time.monotonic() + _BUSY_S
        while True:  # the last process may still be letting go of its files
            try:
                _mount("umount", str(self.folder))
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def fill(self):
        """Take the space that is left, to the last byte; may be called again for what was freed meanwhile."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in _CHUNKS_BYTES:
                chunk = bytes(size)
                with suppress(OSError):
                    while True:
                        os.write(descriptor, chunk)
        finally:
            os.close(descriptor)

    def free(self):
        """Give it back."""
        self._ballast.unlink()

    @property
    def free_bytes(self):
        """What is left."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


def _mount(*words):
    """One command; raises RuntimeError with its words and what it said."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr.strip()}")


def _works():
    """Whether this machine lets us: tried, since root in a container may not."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with SmallDisk(folder, 1 << 16):
                return True
        except (OSError, RuntimeError):
            return False


AVAILABLE = _works()
