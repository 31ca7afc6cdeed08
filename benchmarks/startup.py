"""How long `lab --help` takes, what it loads, and what the agent's bundle weighs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from benchmarks.table import Row
from lab.devices.bundle import MAX_BUNDLE_BYTES
from lab.transports.base import AgentBundle

HELP_LIMIT_S = 0.3
HEAVY = ("torch", "pandas", "streamlit")
_HELP = "import sys\nfrom lab.cli.main import main\nsys.argv = ['lab', '--help']\n"
_LOADED = """import atexit, json
atexit.register(lambda: sys.stderr.write("\\n" + json.dumps(sorted({name.split(".")[0] for name in sys.modules}))))
"""


def help_rows(repeats: int = 7) -> list[Row]:
    """Two rows: the median time of whole processes, and the heavy libraries found loaded at the end."""
    times_s = []
    for _ in range(repeats):
        started_ns = time.monotonic_ns()
        done = _run(_HELP + "main()\n")
        times_s.append((time.monotonic_ns() - started_ns) / 1e9)
        if done.returncode != 0 or "Usage" not in done.stdout:
            reason = (done.stderr.strip().splitlines() or ["it printed no usage"])[-1]
            return [Row("lab --help", "-", "-", "-", f"< {HELP_LIMIT_S} s", False, reason)]
    median_s = statistics.median(times_s)
    loaded = json.loads(_run(_HELP + _LOADED + "main()\n").stderr.splitlines()[-1])
    heavy = [name for name in HEAVY if name in loaded]
    return [
        Row("lab --help", f"{median_s:.3f} s", "-", "-", f"< {HELP_LIMIT_S} s", median_s < HELP_LIMIT_S,
            f"median of {repeats} processes"),
        Row("heavy libraries it loads", ", ".join(heavy) or "none", "-", "-", "none", not heavy,
            f"of {', '.join(HEAVY)}"),
    ]


def bundle_row(bundle: AgentBundle) -> Row:
    """The size of what crosses the wire first."""
    size_bytes = bundle.path.stat().st_size
    return Row("agent bundle", f"{size_bytes / 1024:.1f} KiB", "-", "-", f"≤ {MAX_BUNDLE_BYTES // 1024} KiB",
               size_bytes <= MAX_BUNDLE_BYTES)


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
