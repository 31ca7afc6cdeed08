"""`lab run FILE`: a campaign from its file to its table."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--priority", type=click.IntRange(1, 1000), default=10, show_default=True, help="1 goes first.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON instead of a table.")
def run(file: Path, priority: int, *, as_json: bool) -> None:
    """Queue the campaign in FILE, work on it here, and print the comparison.

    Cells that are already measured are skipped, so the same command goes on where it stopped. Ctrl-C leaves the
    campaign in the queue; a second Ctrl-C within three seconds cancels it. Exit code 1 unless every cell is measured;
    the reasons are in the table.
    """
    from lab import wiring
    from lab.cli.interrupt import queued_or_cancelled
    from lab.cli.show import print_results, say_what_is_missing
    from lab.cli.watch import watching
    from lab.config.campaign import load_campaign
    from lab.wiring import by_hand, queue

    campaign = load_campaign(file)
    text = file.read_text(encoding="utf-8")
    with queued_or_cancelled(campaign), watching(quiet=as_json) as listener, wiring.open_services(listener) as services:
        note = by_hand.quota_note(services, campaign.owner)
        if note:
            click.echo(note, err=True)
        progress = queue.run_campaign(services, campaign, text, priority=priority)
        rows = services.store.result_rows(campaign=progress.campaign_id)
    print_results(rows, as_json=as_json)
    if not as_json:
        say_what_is_missing(rows)
    if progress.state != "done":
        raise SystemExit(1)
