"""`lab demo`: the whole way once, on this machine and a simulated one."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON instead of a table.")
def demo(as_json: bool) -> None:
    """Compress a small real model with every family, measure it on this machine, and compare.

    Uses the handwritten digits that come with scikit-learn, this machine, and a virtual board whose power is
    simulated (and marked so). Needs no root, no network and no setup. A second call only prints.
    """
    import shutil
    import sys

    from lab import wiring
    from lab.cli.interrupt import queued_or_cancelled
    from lab.cli.show import print_results, say_what_is_missing
    from lab.cli.watch import watching
    from lab.config.campaign import demo_campaign
    from lab.wiring import queue

    campaign, text = demo_campaign()
    with queued_or_cancelled(campaign), watching(quiet=as_json) as listener, wiring.open_services(listener) as services:
        wiring.ensure_demo_devices(services.store)
        progress = queue.run_campaign(services, campaign, text)
        rows = services.store.result_rows(campaign=progress.campaign_id)
    print_results(rows, as_json=as_json)
    if not as_json:
        say_what_is_missing(rows)
        lab = "lab" if shutil.which("lab") else sys.argv[0]
        click.echo(f"\nBoard: run `{lab} board` and open http://127.0.0.1:8501 · numbers: `{lab} results --json`")
    if progress.state != "done":
        raise SystemExit(1)
