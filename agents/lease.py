"""The lease on this device: who may use it, until when, and a number that tells old holders from new."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional

from agents.clocks import lease_clock_ns
from agents.errors import Refused
from agents.home import read_json, write_json

TTL_MAX_S = 24 * 3600
_S = 1_000_000_000


class Lease(NamedTuple):
    """What `lease.json` holds; without an owner the device is free, but the fence is still remembered."""

    fence: int
    owner: Optional[str]
    expires_ns: int
    boot_id: str


class Kicked(NamedTuple):
    """A lease taken by force: its fence, and who held the device until then, if anybody else did."""

    fence: int
    holder: Optional[str]


class LeaseFile:
    """The lease in the agent's folder; valid across agent processes, free again after a reboot.

    Raises Refused with `held`, `fenced` or `lease_unreadable`.
    """

    def __init__(self, folder: Path, boot_id: str, clock: Callable[[], int] = lease_clock_ns) -> None:
        self._path = folder / "lease.json"
        self._lock = folder / "lease.lock"
        self._boot_id = boot_id
        self._clock = clock

    def acquire(self, owner: str, ttl_s: float) -> int:
        """Take the free device; the fence is larger than any before.

        The owner who holds it already keeps the fence and gets at least `ttl_s` more: a controller that lost its link
        or was started again must reach the block it left running.
        """
        with self._locked():
            return self._take(self._read(), owner, ttl_s)

    def kick(self, owner: str, ttl_s: float) -> Kicked:
        """As `acquire`, but whoever else holds the device loses it: their fence is stale from now on."""
        with self._locked():
            lease = self._read()
            other = lease.owner if self._is_valid(lease) and lease.owner != owner else None
            if other is not None:
                lease = lease._replace(owner=None)
            return Kicked(self._take(lease, owner, ttl_s), other)

    def renew(self, fence: int, ttl_s: float) -> None:
        """Hold on for `ttl_s` from now; also after expiry, as long as nobody else came."""
        with self._locked():
            lease = self._mine(fence)
            self._write(lease._replace(expires_ns=self._clock() + _ttl_ns(ttl_s)))

    def cover(self, fence: int, duration_ns: int) -> None:
        """See to it that the lease lasts at least this long from now; never shortens it."""
        with self._locked():
            lease = self._mine(fence)
            expires_ns = self._clock() + duration_ns
            if expires_ns > lease.expires_ns:
                self._write(lease._replace(expires_ns=expires_ns))

    def release(self, fence: int) -> None:
        """Give the device back."""
        with self._locked():
            self._write(self._mine(fence)._replace(owner=None, expires_ns=0))

    def check(self, fence: int) -> None:
        """Pass only for the holder of a lease that has not expired."""
        lease = self._read()
        if lease.fence != fence or not self._is_valid(lease):
            raise self._fenced(fence, lease)

    def _take(self, lease: Lease, owner: str, ttl_s: float) -> int:
        expires_ns = self._clock() + _ttl_ns(ttl_s)
        if self._is_valid(lease) and lease.owner == owner:
            self._write(lease._replace(expires_ns=max(lease.expires_ns, expires_ns)))
            return lease.fence
        if self._is_valid(lease):
            left_s = (lease.expires_ns - self._clock()) / _S
            raise Refused("held", f"the device is leased to {lease.owner!r} for another {left_s:.0f} s",
                          retryable=True, owner=lease.owner, expires_in_s=round(left_s, 3))
        self._write(Lease(lease.fence + 1, owner, expires_ns, self._boot_id))
        return lease.fence + 1

    def _mine(self, fence: int) -> Lease:
        lease = self._read()
        if lease.fence != fence or lease.owner is None or lease.boot_id != self._boot_id:
            raise self._fenced(fence, lease)
        return lease

    def _is_valid(self, lease: Lease) -> bool:
        return lease.owner is not None and lease.boot_id == self._boot_id and self._clock() < lease.expires_ns

    def _fenced(self, fence: int, lease: Lease) -> Refused:
        holder = f"{lease.owner!r} under fence {lease.fence}" if self._is_valid(lease) else "nobody"
        return Refused("fenced", f"fence {fence} is no longer valid: the device is leased to {holder}; "
                                 "acquire the lease again")

    def _read(self) -> Lease:
        data: Any = read_json(self._path)
        if data is None and not self._path.exists():
            return Lease(0, None, 0, self._boot_id)
        try:
            owner = data["owner"]
            return Lease(int(data["fence"]), None if owner is None else str(owner), int(data["expires_ns"]),
                         str(data["boot_id"]))
        except (TypeError, KeyError, ValueError):
            raise Refused("lease_unreadable", f"{self._path} is damaged, so its fence is not known; remove the "
                                              "file once nobody uses this device") from None

    def _write(self, lease: Lease) -> None:
        values: Dict[str, Any] = lease._asdict()
        write_json(self._path, values)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _ttl_ns(ttl_s: float) -> int:
    if not 0 < ttl_s <= TTL_MAX_S:
        raise Refused("bad_request", f"ttl_s: expected a number above 0 and up to {TTL_MAX_S}, got {ttl_s!r}")
    return int(ttl_s * _S)
