"""`lab techniques`: the steps a technique can be made of."""

from __future__ import annotations

import json

import click


@click.group()
def techniques() -> None:
    """Look at the compression steps a campaign file can name."""


@techniques.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """Show every step with its parameters and their defaults."""
    from lab.cli.show import print_table
    from lab.compression.steps import describe_steps

    described = describe_steps()
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps([asdict(step) for step in described], indent=1, default=str))
        return
    print_table("Steps", ("step", "works on", "parameters = default", "what it does"),
                [(step.name, step.kind, step.parameters_text, step.summary) for step in described])
