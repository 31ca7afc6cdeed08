"""One campaign from two processes at the same moment: one id, one chain, every block once."""

from __future__ import annotations

import subprocess
import sys

from tests.support.campaigns import real_services, write_pair

CODE = """
import sys
from pathlib import Path
from lab.wiring import queue
from tests.support.campaigns import real_services, small_campaign
with real_services(Path(sys.argv[1])) as services:
    print("ready", flush=True)
    sys.stdin.readline()
    progress = queue.run_campaign(services, small_campaign(sys.argv[2]), "")
    print(progress.campaign_id, progress.state, progress.cells_done, flush=True)
"""


def test_two_who_run_the_same_campaign_at_once_share_one(lab_home, tmp_path):
    """Whoever comes second watches the first; both have the results in the end."""
    words = [sys.executable, "-c", CODE, str(lab_home), write_pair(tmp_path / "pair")]
    with real_services(lab_home):
        pass  # the tables are there
    both = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [each.stdout.readline() for each in both] == ["ready\n"] * 2
    for each in both:
        each.stdin.write("go\n")
        each.stdin.flush()
    said = {each.communicate()[0].strip() for each in both}
    with real_services(lab_home) as services:
        (summary,) = services.store.campaigns()
        assert said == {f"{summary.id} done 2"}
        assert summary.epoch == 1
        attempts = services.store.attempts(summary.id)
        assert [(each.number, each.attempt, each.state) for each in attempts] == [
            (number, 1, "done") for number in (1, 2, 3)]
        for cell in services.store.cells(summary.id):
            assert [block.number for block in services.store.cell_blocks(cell.id)] == [1, 2, 3]
