"""`lab results`: what has been measured, as a table, JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from lab.domain.result import ResultRow


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
def results(ctx: click.Context, /, **options: Any) -> None:
    """Show results; `lab results` alone is `lab results list`."""
    ctx.obj = options
    if ctx.invoked_subcommand is None:
        _print(**options)


@results.command("list")
@_options
@click.pass_context
def list_(ctx: click.Context, /, **options: Any) -> None:
    """Show the results of one campaign."""
    _print(**{name: value or ctx.obj[name] for name, value in options.items()})


@results.command("show")
@click.argument("cell")
@click.pass_context
def show(ctx: click.Context, cell: str) -> None:
    """Show all that is known about CELL: `campaign/technique/device`, or the beginning of a cell's id."""
    if any(ctx.obj.values()):
        ctx.fail("`lab results show` takes a cell and none of the options of `lab results list`.")
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
        rows = store.result_rows(campaign=chosen) if chosen else ()
    if device is not None and rows:
        rows = _of_device(rows, device)
    if as_csv:
        click.echo(rows_to_csv(rows), nl=False)
    elif not rows and not as_json:
        click.echo("No results yet. `lab demo` measures a first campaign on this machine.")
    else:
        print_results(rows, as_json=as_json)


def _of_device(rows: tuple[ResultRow, ...], device: str) -> tuple[ResultRow, ...]:
    """Its rows; raises NotFound naming the devices that have some."""
    from lab.errors import NotFound

    found = tuple(row for row in rows if row.device == device)
    if not found:
        raise NotFound(f"Campaign {rows[0].campaign} has no results of a device {device!r}. It was measured on: "
                       f"{', '.join(dict.fromkeys(row.device for row in rows))}.")
    return found
