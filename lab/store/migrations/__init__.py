"""Every change to the database's layout, in order; a step that has been released is never edited.

A step uses only sqlite-utils and SQL, nothing of today's readers, so that it still does the same years later. A new
one is a new file, added to `STEPS` at the end; its name is what the database remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from sqlite_utils import Database, Migrations

from .m0001_first_layout import create_first_layout
from .m0002_window_artifact import add_window_artifact
from .m0003_queue import add_queue
from .m0004_reboot_and_quotas import add_reboot_and_quotas

SET_NAME = "lab"

Step: TypeAlias = Callable[[Database], None]

STEPS: Mapping[str, Step] = {
    "m0001_first_layout": create_first_layout,
    "m0002_window_artifact": add_window_artifact,
    "m0003_queue": add_queue,
    "m0004_reboot_and_quotas": add_reboot_and_quotas,
}


def migrations_of(steps: Mapping[str, Step]) -> Migrations:
    """The steps as sqlite-utils wants them: each runs in one transaction with the note that it has."""
    migrations = Migrations(SET_NAME)
    for name, step in steps.items():
        migrations(name=name)(step)
    return migrations
