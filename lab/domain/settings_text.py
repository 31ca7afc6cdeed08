"""A point of a campaign's settings as one short line, the same everywhere it is shown."""

from __future__ import annotations

from .campaign import Settings


def settings_text(settings: Settings) -> str:
    """For example `onnx_runtime, 1 thread, batch 1, back to back`."""
    threads = "1 thread" if settings.threads == 1 else f"{settings.threads} threads"
    parts = [settings.runtime, threads, f"batch {settings.batch}", _load_text(settings)]
    parts += [f"{name}={value}" for name, value in settings.device_state]
    return ", ".join(parts)


def _load_text(settings: Settings) -> str:
    load = settings.load
    if load.kind == "back_to_back" or load.rate_hz is None:
        return load.kind.replace("_", " ")
    deadline = "" if load.deadline_ns is None else f" within {load.deadline_ns / 1e6:g} ms"
    return f"paced {load.rate_hz:g}/s{deadline}"
