"""`lab gc`: disk space back from files that nothing names."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict

import click


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--keep-days", type=click.FloatRange(min=1.0), default=7.0, show_default=True,
              help="Files younger than this stay.")
@click.option("--json", "as_json", is_flag=True)
def gc(*, dry_run: bool, keep_days: float, as_json: bool) -> None:
    """Remove artifacts and recordings that nothing in the database names; the spool stays."""
    from lab.cli.quiet import nobody_works
    from lab.config.settings import lab_home
    from lab.store.collect import gc as collect

    home = lab_home()
    with nullcontext() if dry_run else nobody_works(home, "remove files"):
        found = collect(home, dry_run=dry_run, keep_days=keep_days)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    click.echo(f"{'Would remove' if dry_run else 'Removed'} {len(found.artifacts)} artifacts, {len(found.traces)} "
               f"recordings and {len(found.half_written)} half-written files: {found.freed_bytes / 1e6:.1f} MB.")
    if found.kept_for:
        click.echo(f"No whole artifact goes while campaigns are unfinished: {', '.join(found.kept_for)}. Their blocks "
                   "in the queue may need them; let them end, or `lab campaigns cancel` them.", err=True)
    if dry_run:
        for name in (*found.artifacts, *found.traces, *found.half_written):
            click.echo(f"  {name}")
