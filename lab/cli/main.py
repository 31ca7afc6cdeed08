"""The `lab` command: finds the command group, maps errors to exit codes."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version

import click

from lab.errors import LabError

COMMANDS = {
    "demo": "lab.cli.demo:demo",
    "run": "lab.cli.run:run",
    "campaigns": "lab.cli.campaigns:campaigns",
    "worker": "lab.cli.worker:worker",
    "results": "lab.cli.results:results",
    "devices": "lab.cli.devices:devices",
    "quota": "lab.cli.quota:quota",
    "techniques": "lab.cli.techniques:techniques",
    "meters": "lab.cli.meters:meters",
    "board": "lab.cli.board:board",
    "backup": "lab.cli.backup:backup",
    "restore": "lab.cli.backup:restore",
    "gc": "lab.cli.gc:gc",
}
"""Command or group by name; its module may import only click at the top."""


class _LazyGroup(click.Group):
    """Imports a command's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, name = target.split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]
                        ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            near = get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No command '{name}'.{hint} Known: {', '.join(COMMANDS)}.")
        return super().resolve_command(ctx, args)


def _version() -> str:
    try:
        return version("joulelab")
    except PackageNotFoundError:
        return "not installed"


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="lab")
def lab() -> None:
    """Measure which compression technique really saves time, memory and energy on your device.

    Start with `lab demo`. Then register your own device with `lab devices add` and write a campaign file.
    """


def main() -> None:
    """Entry point of `lab` and `joulelab`: exit 0 ok, 1 failed, 2 usage."""
    try:
        lab.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2 if isinstance(error, click.UsageError) else error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. What was measured is kept; the same command goes on from there.", err=True)
        sys.exit(130)
    except LabError as error:
        show_error(error)
        sys.exit(error.exit_code)


def show_error(error: LabError) -> None:
    """One error as text on stderr: what failed, then its notes (which device, which file)."""
    click.echo(f"Error: {error}", err=True)
    for note in getattr(error, "__notes__", ()):
        click.echo(f"  {note}", err=True)


if __name__ == "__main__":
    main()
