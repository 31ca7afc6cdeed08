"""What a person who waits for a campaign gets to read."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from lab.campaigns.base import ProgressEvent
from lab.cli.watch import watching
from lab.workloads import NOTE

ROOT = Path(__file__).resolve().parents[4]


def event(text, stage="prepare", subject="digits"):
    return ProgressEvent(stage=stage, subject=subject, text=text, fraction=0.5)


def test_lines_come_at_every_change_and_not_faster(capsys):
    """The second report of one stage, milliseconds later, is left out."""
    with watching() as listener:
        for each in (event("epoch 1"), event("epoch 2"), event("window 1", "measure", "pi4")):
            listener(each)
    assert capsys.readouterr().err.splitlines() == ["prepare   digits: epoch 1", "measure   pi4: window 1"]


def test_every_note_is_printed(capsys):
    """However soon it comes after another line; what a reader has to know must not depend on the time of day."""
    with watching() as listener:
        for text in ("loading", NOTE + "No evaluation data.", NOTE + "A random input."):
            listener(event(text))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "prepare   digits: note: No evaluation data.", "prepare   digits: note: A random input."]


def test_quiet_is_silent(capsys):
    """Nothing may mix with JSON."""
    with watching(quiet=True) as listener:
        listener(event(NOTE + "x"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_on_a_terminal_notes_stay_when_the_bars_are_gone():
    """The bars vanish at the end; a note is printed above them, whole."""
    note = NOTE + "[made up] " + "word " * 40 + "end"
    code = ("import sys\n"
            "from lab.campaigns.base import ProgressEvent\n"
            "from lab.cli.watch import watching\n"
            "with watching() as listener:\n"
            "    for text in ('loading', sys.argv[1]):\n"
            "        listener(ProgressEvent(stage='prepare', subject='digits', text=text, fraction=0.5))\n")
    terminal, inside = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, note], stderr=inside, check=True, env=environment)
    os.close(inside)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert f"prepare   digits: {note}" in shown
