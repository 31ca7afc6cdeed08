"""Flags as the agent writes them into a recording: what is wrong or missing with its numbers."""

from __future__ import annotations

from typing import Dict

Flag = Dict[str, str]

INFO = "info"
DEGRADED = "degraded"
VOID = "void"


def flag(code: str, severity: str, detail: str) -> Flag:
    """One flag; `detail` says what was seen, in a sentence."""
    return {"code": code, "severity": severity, "detail": detail[:500]}
