"""`lab results`: what has been measured, as a table, JSON or CSV."""

from __future__ import annotations

import click


def _options(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option("--campaign", default=None, help="Name, id or beginning of an id; default: the latest."),
        click.option("--device", default=None, help="Only this device."),
        click.option("--json", "as_json", is_flag=True, help="Everything at full precision as JSON."),
        click.option("--csv", "as_csv", is_flag=True, help="Tidy CSV: one metric a row."),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_options
@click.pass_context
def results(ctx: click.Context, campaign: str | None, device: str | None, as_json: bool, as_csv: bool) -> None:
    """Show results; `lab results` alone is `lab results list`."""
    if ctx.invoked_subcommand is None:
        _print(campaign, device, as_json=as_json, as_csv=as_csv)


@results.command("list")
@_options
def list_(campaign: str | None, device: str | None, as_json: bool, as_csv: bool) -> None:
    """Show the results of one campaign."""
    _print(campaign, device, as_json=as_json, as_csv=as_csv)


@results.command("show")
@click.argument("cell")
def show(cell: str) -> None:
    """Show all that is known about CELL: `campaign/technique/device`, or the beginning of a cell's id."""
    from lab import wiring
    from lab.cli.show import print_cell

    with wiring.open_store() as store:
        row = wiring.find_cell(store, cell)
        lineage = store.lineage(row.artifact_sha256) if row.artifact_sha256 else ()
    print_cell(row, lineage)


def _print(campaign: str | None, device: str | None, *, as_json: bool, as_csv: bool) -> None:
    from lab import wiring
    from lab.cli.show import print_results
    from lab.reports.csv_export import rows_to_csv

    with wiring.open_store() as store:
        chosen = wiring.latest_campaign(store) if campaign is None else store.campaign(campaign).id
        rows = store.result_rows(campaign=chosen, device=device) if chosen else ()
    if as_csv:
        click.echo(rows_to_csv(rows), nl=False)
    elif not rows and not as_json:
        click.echo("No results yet. `lab demo` measures a first campaign on this machine.")
    else:
        print_results(rows, as_json=as_json)
