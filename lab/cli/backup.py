"""`lab backup` and `lab restore`: the whole lab as one file, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

_LISTED_MAX = 5


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Write everything that cannot be made again to FILE, a .tar.gz; campaigns may go on meanwhile."""
    from lab.config.settings import lab_home
    from lab.store.backup import backup as write_backup

    home = lab_home()
    report = write_backup(home, file.absolute(), _listener())
    click.echo(f"Wrote {file}: {report.files} files, {report.archive_bytes / 1e6:.1f} MB.")
    for paths, what in ((report.missing, "named by the database but not in"), (report.damaged, "damaged in")):
        if paths:
            listed = ", ".join(paths[:_LISTED_MAX]) + (", …" if len(paths) > _LISTED_MAX else "")
            click.echo(f"Note: {len(paths)} files are {what} {home}: {listed}. Artifacts can be made again by running "
                       "their campaign; recordings only come back from an earlier backup.", err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def restore(file: Path) -> None:
    """Bring back what `lab backup` wrote to FILE; LAB_HOME must be empty.

    Two labs from one backup would both measure as one: let only one of them go on.
    """
    from lab.cli.quiet import nobody_works
    from lab.config.settings import lab_home
    from lab.store.restore import restore as read_backup

    home = lab_home()
    with nobody_works(home, "restore"):
        report = read_backup(file.absolute(), home, _listener())
    click.echo(f"Restored {report.files} files, {report.size_bytes / 1e6:.1f} MB, into {home}, as they were at "
               f"{report.created_utc}.")


def _listener() -> Callable[[str, float], None]:
    """One line on stderr whenever something else begins."""
    said = ""

    def listen(text: str, _fraction: float) -> None:
        nonlocal said
        if text != said:
            said = text
            click.echo(f"{text} …", err=True)

    return listen
