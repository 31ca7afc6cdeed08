"""What is printed about one cell."""

from __future__ import annotations

from dataclasses import replace

from lab.cli.show import print_cell
from lab.domain.artifact import StepOutcome
from tests.support.result_rows import row

STEP = StepOutcome(position=1, step="quantize_static", params=(), cache_key="k", cached=True, parameters=10, macs=20,
                   size_bytes=30, accuracy_ratio=0.5, duration_ns=1_500_000_000)


def test_a_steps_notes_are_printed_under_the_steps(capsys):
    """Whole, without line breaks of ours, and never as markup."""
    note = "one scale per tensor, since per_channel failed: [bold] " + "long " * 60 + "end"
    print_cell(row(), [STEP, replace(STEP, step="other", notes=(note, "second"))])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [f"  other: {note}", "  other: second"]
    assert not any(line.startswith("  quantize_static:") for line in lines)


def test_the_seed_tells_cells_of_one_technique_apart(capsys):
    """It is part of what was made."""
    print_cell(row(seed=7), [])
    assert "seed 7" in " ".join(capsys.readouterr().out.split())
