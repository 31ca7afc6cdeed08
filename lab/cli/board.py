"""`lab board`: the Streamlit board on this machine."""

from __future__ import annotations

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
def board(port: int) -> None:
    """Open the board on http://127.0.0.1:PORT. It is reachable from this machine only."""
    import os
    import sys
    from pathlib import Path

    from lab.board.launch import streamlit_command

    script = Path(__file__).with_name("board_app.py")
    click.echo(f"Board: http://127.0.0.1:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    command = streamlit_command(script, port)
    os.execv(command[0], command)  # becomes the server: ending this process leaves nothing behind
