"""`lab run FILE`: a campaign from its file to its table."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON instead of a table.")
def run(file: Path, as_json: bool) -> None:
    """Run the campaign in FILE and print the comparison.

    Cells that are already measured are skipped, so the same command goes on where it stopped. Exit code 1 unless
    every cell is measured; the reasons are in the table.
    """
    from lab import wiring
    from lab.cli.show import print_results, say_what_is_missing
    from lab.cli.watch import watching
    from lab.config.campaign import load_campaign

    campaign = load_campaign(file)
    with watching(quiet=as_json) as listener, wiring.open_services(listener) as services:
        progress = wiring.run_campaign(services, campaign, file.read_text(encoding="utf-8"))
        rows = services.store.result_rows(campaign=progress.campaign_id)
    print_results(rows, as_json=as_json)
    if not as_json:
        say_what_is_missing(rows)
    if progress.state != "done":
        raise SystemExit(1)
