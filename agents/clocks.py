"""Clocks and the boot they belong to."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def lease_clock_ns() -> int:
    """Nanoseconds since boot, sleep included, so that a lease also ends on a board that slept."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if boottime is None else time.clock_gettime_ns(boottime)


def read_boot_id(path: Path = BOOT_ID) -> str:
    """The kernel's name for this boot, `unknown` where it has none; monotonic times mean nothing across boots."""
    try:
        return path.read_text(encoding="ascii").strip() or "unknown"
    except (OSError, UnicodeDecodeError):
        return "unknown"


def utc_now() -> str:
    """Wall time for people, ISO 8601 in UTC."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
