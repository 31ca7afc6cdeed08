"""`lab worker`: work on the queue until stopped."""

from __future__ import annotations

import click


@click.command()
@click.option("--agent-host", default=None, metavar="NAME",
              help="Only measure, on the devices that were added with this agent host.")
@click.option("--compress", "compress_name", is_flag=False, flag_value="", default=None, metavar="[NAME]",
              help="Only compress; NAME tells several such workers apart (default: this machine's).")
def worker(agent_host: str | None, compress_name: str | None) -> None:
    """Work on the queue: everything, or one role on a machine of its own.

    Without an option this is the controller: it plans, compresses, measures on the devices that this machine reaches,
    and stores results. On other machines LAB_ENGINE_URL names the queue's PostgreSQL and LAB_SHARED_URL the files.
    End it with Ctrl-C: blocks go on on their devices, and the next worker of the same name collects them.
    """
    import os
    import platform
    import signal

    from lab.cli.watch import watching
    from lab.config.settings import lab_home
    from lab.errors import ExecutorTaken
    from lab.wiring import queue

    if agent_host is not None and compress_name is not None:
        raise click.UsageError("--agent-host and --compress are two workers: start one for each.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with watching() as listener:
        if agent_host is not None:
            working = queue.work_apart(lab_home(), f"devices-{agent_host}", (f"devices:{agent_host}",), listener)
        elif compress_name is not None:
            name = compress_name or platform.node()
            working = queue.work_apart(lab_home(), f"compress-{name}", ("compress",), listener)
        else:
            working = queue.work_as_controller(listener)
        with working as hold:
            click.echo("Working. Ctrl-C ends it.", err=True)
            try:
                queue.until_interrupted(hold)
            except ExecutorTaken as error:
                click.echo(f"Error: {error}", err=True)
                os._exit(error.exit_code)
            click.echo("Stopped. What was queued stays; blocks that run go on on their devices.", err=True)
            os._exit(0)  # threads may wait for a device for minutes; everything that counts is on disk
