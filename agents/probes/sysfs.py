"""What every sysfs probe shares: the walk from finding files to reading them, and how they are named."""

from __future__ import annotations

import errno
import os
import re
import time
from pathlib import Path
from typing import ClassVar, Dict, List, NamedTuple, Optional, Set, Tuple, Union

from .base import Channel, Clock, Reading, Unavailable
from .raw_file import MAX_BYTES, RawFile

_DENIED = frozenset({errno.EACCES, errno.EPERM})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO})


class Found(NamedTuple):
    """A channel and the file it is read from; `tag` tells it from another one of the same rail."""

    channel: Channel
    path: Path
    tag: str


class FileProbe:
    """A probe whose channels are files; a subclass finds them and says what helps where they are missing.

    `absent` says what was looked for, `remedy` what to do where the kernel refuses to open a file.
    """

    absent: ClassVar[str] = ""
    remedy: ClassVar[str] = ""

    def __init__(self, clock: Clock = time.monotonic_ns) -> None:
        self._clock = clock
        self._files: Tuple[RawFile, ...] = ()

    def find(self, root: Path) -> List[Found]:
        """Every channel under `root`, readable or not; may raise OSError."""
        raise NotImplementedError

    def discover(self, root: Path) -> Union[Tuple[Channel, ...], Unavailable]:
        """Channels whose files can be opened, or why there are none."""
        self.close()
        try:
            found = unique_rails(self.find(root))
        except OSError as error:
            return self._unavailable([error])
        opened = [(item.channel, _opened(item.path, self._clock)) for item in found]
        self._files = tuple(file for _, file in opened if isinstance(file, RawFile))
        if not self._files:
            return self._unavailable([file for _, file in opened if isinstance(file, OSError)])
        return tuple(channel for channel, file in opened if isinstance(file, RawFile))

    def read(self) -> Tuple[Reading, ...]:
        """One reading per channel, in the order of `discover`."""
        return tuple(file.read() for file in self._files)

    def close(self) -> None:
        """Close every file; idempotent."""
        for file in self._files:
            file.close()
        self._files = ()

    def _unavailable(self, errors: List[OSError]) -> Unavailable:
        denied = [error for error in errors if error.errno in _DENIED]
        other = [error for error in errors if error.errno not in _DENIED | _ABSENT]
        if denied:
            return Unavailable("permission", f"{denied[0].filename}: permission denied. {self.remedy}".strip())
        if other:
            return Unavailable("error", f"{other[0].filename}: {other[0].strerror}. Look into the kernel's log.")
        return Unavailable("absent", self.absent)


def _opened(path: Path, clock: Clock) -> Union[RawFile, OSError]:
    try:
        return RawFile(path, clock)
    except OSError as error:
        return error


def read_text(path: Path) -> Optional[str]:
    """The first line of a short file, or None where there is nothing to read."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES)
    except OSError:
        return None
    lines = data.decode("utf-8", "replace").strip("\0 \n").splitlines()
    return lines[0].strip() if lines else None


def numbered(directory: Path, prefix: str) -> List[Path]:
    """Entries named `prefix` and a number, by number; none where the directory does not exist."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    pattern = re.compile(re.escape(prefix) + r"([0-9]+)")
    matches = [(int(match.group(1)), match.group(0)) for match in map(pattern.fullmatch, names) if match]
    return [directory / name for _, name in sorted(matches)]


def unique_rails(found: List[Found]) -> List[Found]:
    """The same channels; where two sources carry one name, `@tag` says which is which."""
    tags: Dict[str, Set[str]] = {}
    for item in found:
        tags.setdefault(item.channel.rail, set()).add(item.tag)
    return [
        item._replace(channel=item.channel._replace(rail=f"{item.channel.rail}@{item.tag}"))
        if len(tags[item.channel.rail]) > 1 else item
        for item in found
    ]
