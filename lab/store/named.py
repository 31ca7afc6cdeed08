"""Which files the database names: one whose hash stands nowhere in it counts for no result."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database

TRACE_SUFFIX = ".parquet"

_TEXTS = """SELECT DISTINCT "{column}" FROM "{table}" WHERE typeof("{column}") = 'text' AND length("{column}") >= 64"""
_SHA256_IN_TEXT = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def named_hashes(database: Database) -> frozenset[str]:
    """Every SHA-256 in any text of any table, those inside JSON too.

    Whatever a table of a later layout is for, a file it names is kept. Raises StoreError if the database refuses.
    """
    found: set[str] = set()
    try:
        for table in database.tables:
            for column in table.columns:
                for (text,) in database.execute(_TEXTS.format(column=column.name, table=table.name)):
                    found.update(_SHA256_IN_TEXT.findall(text))
    except sqlite3.Error as error:
        raise StoreError(f"cannot read which files the lab database names: {error}") from error
    return frozenset(found)


def hash_of_file(path: Path) -> str | None:
    """The SHA-256 that an artifact's or a trace's file is named by; None for any other file."""
    name = path.name.removesuffix(TRACE_SUFFIX)
    return name if _SHA256.fullmatch(name) and path.parent.name == name[:2] else None
