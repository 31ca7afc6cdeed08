"""Files that controller and workers on other machines both reach: a folder they all mount, or a bucket."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from lab.errors import StoreError

from .durable import TEMPORARY_PREFIX, fsync_folder, write_durably

URL_VARIABLE = "LAB_SHARED_URL"
Kind: TypeAlias = Literal["artifacts", "recordings"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20
_EXPECTED = "expected file:///FOLDER (an absolute path that every machine mounts) or s3://BUCKET/PREFIX"
_ADDRESSES = {"file": re.compile(r"file:///.+"), "s3": re.compile(r"s3://[^/@:]+(/.*)?"),
              "memory": re.compile(r"memory://.+")}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How much of one kind lies in the shared files."""

    files: int
    size_bytes: int


class SharedFiles:
    """Files by kind and SHA-256 under one URL; safe from several machines at once.

    A file appears whole or not at all: in a folder by a rename, in a bucket because an upload counts when it ends.
    What another machine wrote is used only if its content has the hash it is named by. Every method raises StoreError:
    for a name that is no hash, for an absent or damaged file, and with `transient` set for a place out of reach.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, self._root = _filesystem(url)
        self._folder = Path(self._root) if url.startswith("file:") else None

    def push(self, kind: Kind, sha256: str, path: Path) -> int:
        """Put the file at `path` there; returns the bytes sent, 0 if it is there and whole already."""
        place = self._place(kind, sha256)
        size_bytes = _checked_size(path, sha256)
        with self._reaching(f"put {_name(kind, sha256)} into"):
            self._require_folder()
            if self._is_whole(place, sha256, size_bytes):
                return 0
            if self._folder is not None:
                _copy_whole(path, Path(place), sha256, self._folder)
            else:
                self._files.put_file(str(path), place)
            if (came := self._size(place)) != size_bytes:
                raise StoreError(f"put {_name(kind, sha256)} into {self.url}: expected {size_bytes} bytes there, "
                                 f"found {came}; check that nothing else writes there, and repeat")
        return size_bytes

    def pull(self, kind: Kind, sha256: str, to: Path) -> None:
        """Fetch a file to the path `to`, where it appears once it is whole, checked and on disk."""
        place = self._place(kind, sha256)
        if to.is_file() and _sha256_of(to) == sha256:
            return

        def write(stream: IO[bytes]) -> None:
            whole = hashlib.sha256()
            for chunk in self._chunks(place, kind, sha256):
                whole.update(chunk)
                stream.write(chunk)
            self._require_same(kind, sha256, whole.hexdigest())

        with self._reaching(f"fetch {_name(kind, sha256)} to {to} from"):
            self._require_folder()
            write_durably(to, write)

    def read(self, kind: Kind, sha256: str, max_bytes: int) -> bytes:
        """A file's content; one larger than `max_bytes` is refused before memory is reserved for it."""
        place, data = self._place(kind, sha256), bytearray()
        with self._reaching(f"read {_name(kind, sha256)} from"):
            self._require_folder()
            for chunk in self._chunks(place, kind, sha256, max_bytes):
                data += chunk
        self._require_same(kind, sha256, hashlib.sha256(data).hexdigest())
        return bytes(data)

    def has(self, kind: Kind, sha256: str) -> bool:
        """Whether a file of this name is there, whole or not."""
        place = self._place(kind, sha256)
        with self._reaching(f"look for {_name(kind, sha256)} in"):
            self._require_folder()
            is_there = self._size(place) is not None
            if not is_there:
                self._require_bucket()
        return is_there

    def remove(self, kind: Kind, sha256: str) -> None:
        """Forget a file; one that is not there is forgotten already."""
        place = self._place(kind, sha256)
        with self._reaching(f"remove {_name(kind, sha256)} from"), suppress(FileNotFoundError):
            self._require_folder()
            if self._size(place) is not None:
                self._files.rm_file(place)

    def usage(self) -> dict[Kind, Usage]:
        """Number and size of the whole files of each kind."""
        found: dict[Kind, Usage] = {}
        with self._reaching("list"):
            self._require_folder()
            for kind in get_args(Kind):
                sizes = [int(info["size"]) for name, info in self._listed(kind).items()
                         if _SHA256.fullmatch(name.rsplit("/", 1)[-1])]
                found[kind] = Usage(files=len(sizes), size_bytes=sum(sizes))
            if not any(usage.files for usage in found.values()):
                self._require_bucket()
        return found

    def _listed(self, kind: str) -> dict[str, Any]:
        try:
            listed: dict[str, Any] = self._files.find(f"{self._root}/{kind}", detail=True)
        except FileNotFoundError:
            return {}
        return listed

    def _place(self, kind: str, sha256: str) -> str:
        if kind not in get_args(Kind):
            raise StoreError(f"shared files are {' or '.join(get_args(Kind))}, not {kind[:80]!r}")
        if not _SHA256.fullmatch(sha256):
            raise StoreError(f"shared file name {sha256[:80]!r} is not a SHA-256: expected 64 hex digits, lower case")
        return f"{self._root}/{kind}/{sha256[:2]}/{sha256}"

    def _size(self, place: str) -> int | None:
        try:
            info = self._files.info(place)
        except FileNotFoundError:
            return None
        return int(info["size"]) if info["type"] == "file" else None

    def _is_whole(self, place: str, sha256: str, size_bytes: int) -> bool:
        """A bucket checks what it takes in; a folder may have lost power in the middle, so it is read again."""
        if self._size(place) != size_bytes:
            return False
        return self._folder is None or _sha256_of(Path(place)) == sha256

    def _chunks(self, place: str, kind: str, sha256: str, max_bytes: int | None = None) -> Iterator[bytes]:
        size_bytes = self._size(place)
        if size_bytes is None:
            self._require_bucket()
            raise StoreError(f"{_name(kind, sha256)} is not in {self.url}: it was never put there, or removed since; "
                             f"check that every machine has the same {URL_VARIABLE}")
        if max_bytes is not None and size_bytes > max_bytes:
            raise StoreError(f"{_name(kind, sha256)} in {self.url} has {size_bytes} bytes: expected at most "
                             f"{max_bytes}, so it is not read; look at what put it there")
        left = size_bytes
        with self._files.open(place, "rb") as stream:
            while left and (chunk := stream.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk

    def _require_same(self, kind: str, sha256: str, got: str) -> None:
        if got != sha256:
            raise StoreError(f"{_name(kind, sha256)} in {self.url} is damaged: its content has SHA-256 {got}; "
                             "remove it there, and have it put there again")

    def _require_folder(self) -> None:
        """A folder that is not there is a mount that is missing: writing would fill this machine's disk instead."""
        if self._folder is not None and not self._folder.is_dir():
            raise _out_of_reach(f"there is no folder {self._folder}, which {URL_VARIABLE} names: mount it on this "
                                "machine, or create it if this machine is the one that has it")

    def _require_bucket(self) -> None:
        """Of a bucket that does not exist s3fs says that the file does not; who may not ask for it gets no answer."""
        if not self.url.startswith("s3:"):
            return
        bucket = self._root.split("/", 1)[0]
        try:
            with suppress(PermissionError):
                self._files.info(bucket)
        except FileNotFoundError:
            raise _out_of_reach(f"there is no bucket {bucket!r}, which {URL_VARIABLE} names ({self.url}): correct the "
                                "name, create the bucket, or check that AWS_ENDPOINT_URL names the server that has "
                                "it") from None

    @contextmanager
    def _reaching(self, doing: str) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise _out_of_reach(f"cannot {doing} {self.url}: {said}. Check {URL_VARIABLE}, the network, that there is "
                                "space and the right to write; for a bucket also its credentials "
                                "(AWS_ACCESS_KEY_ID, ~/.aws)") from error


def shared_from_env(env: Mapping[str, str] = os.environ) -> SharedFiles | None:
    """The shared files that LAB_SHARED_URL names, or None where it is not set; raises StoreError for a wrong one."""
    url = env.get(URL_VARIABLE, "").strip()
    return SharedFiles(url) if url else None


def _filesystem(url: str) -> tuple[Any, str]:
    """fsspec's filesystem of this URL, and the path of the URL in it."""
    scheme = url.split(":", 1)[0]
    if urlsplit(url).password or (scheme == "s3" and "@" in url):
        raise StoreError(f"{URL_VARIABLE} holds a password, which anyone may read who sees the URL: leave it out, and "
                         "put the credentials where the AWS tools look (AWS_ACCESS_KEY_ID, ~/.aws)")
    if "://" not in url or scheme not in _ADDRESSES or not _ADDRESSES[scheme].fullmatch(url) or "::" in url:
        raise StoreError(f"{URL_VARIABLE}: {_EXPECTED}, got {url[:200]!r}")
    from fsspec.core import url_to_fs

    try:
        # A listing kept in memory would hide what another machine has written since.
        files, root = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise StoreError(f"{URL_VARIABLE} is {url}, but what speaks to buckets is not installed: "
                         "`pip install 'joulelab[s3]'`") from error
    return files, str(root).rstrip("/")


def _checked_size(path: Path, sha256: str) -> int:
    try:
        got, size_bytes = _sha256_of(path), path.stat().st_size
    except OSError as error:
        raise StoreError(f"cannot read {path} to share it: {error.strerror}") from error
    if got != sha256:
        raise StoreError(f"{path} is not shared: expected content of SHA-256 {sha256}, got {got}; it is damaged")
    return size_bytes


def _copy_whole(path: Path, place: Path, sha256: str, root: Path) -> None:
    """Whoever may use the shared folder may use what is in it: folders and files get its rights."""
    mode = stat.S_IMODE(root.stat().st_mode)
    for folder in (place.parent.parent, place.parent):
        with suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(mode)
    temporary = place.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        with path.open("rb") as source, temporary.open("xb") as stream:
            whole = hashlib.sha256()
            while chunk := source.read(_CHUNK_BYTES):
                whole.update(chunk)
                stream.write(chunk)
            os.fchmod(stream.fileno(), mode & 0o666)
            stream.flush()
            os.fsync(stream.fileno())
        if whole.hexdigest() != sha256:
            raise StoreError(f"{path} changed while it was shared; repeat")
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(place.parent)


def _sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _name(kind: str, sha256: str) -> str:
    return f"{kind.removesuffix('s')} {sha256}"


def _out_of_reach(text: str) -> StoreError:
    error = StoreError(text)
    error.transient = True
    return error
