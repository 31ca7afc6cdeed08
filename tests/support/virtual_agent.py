"""Stand-ins for an agent on a virtual board: a block process, its folder, and workers that use the processor."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

PHYSICS = {
    "idle_w": 2.0, "busy_per_core_w": 1.5, "ambient_c": 25.0, "thermal_resistance_c_per_w": 8.0,
    "thermal_capacity_j_per_c": 25.0, "throttle_temperature_c": 80.0, "clock_max_hz": 1.5e9,
    "clock_throttled_hz": 1.0e9, "sensor_period_ns": 2e7, "sensor_resolution_w": 0.00625, "memory_bytes": 2.0**32,
}

WORKER = """
import sys, threading, time
print("started", flush=True)
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
for line in sys.stdin:
    seconds, threads = line.split()
    burners = [threading.Thread(target=burn, args=(float(seconds),)) for _ in range(int(threads))]
    [thread.start() for thread in burners]
    [thread.join() for thread in burners]
    print("burned", flush=True)
"""

SLEEPER = "import sys\nprint('started', flush=True)\nsys.stdin.read()\n"


class Worker:
    """A process that uses as much processor time as it is told, in as many threads."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self._expect("started")

    @property
    def pid(self):
        return self.process.pid

    def burn(self, cpu_s, threads=1):
        """Use `cpu_s` seconds of processor time in each thread, then return."""
        self.process.stdin.write(f"{cpu_s} {threads}\n")
        self.process.stdin.flush()
        self._expect("burned")

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def _expect(self, word):
        assert self.process.stdout.readline().strip() == word


class Block:
    """A block's folder below an agent's home, with a process that stands for the one that measures it."""

    def __init__(self, agent_home: Path, block_id="block-1", state="running"):
        self.folder = agent_home / "blocks" / block_id
        self.folder.mkdir(parents=True)
        self.process = subprocess.Popen([sys.executable, "-c", SLEEPER, "block", "--block", block_id],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()  # its arguments can be seen from here on
        (self.folder / "block.pid").write_text(str(self.process.pid))
        self.set_state(state)

    def set_state(self, state):
        write_whole(self.folder / "status.json", json.dumps({"state": state, "position": 1}))

    def open_window(self, pid):
        write_whole(self.folder / "worker.pid", str(pid))

    def close_window(self):
        (self.folder / "worker.pid").unlink()

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def stat_cpu_ns(pid: int) -> int:
    """Processor time of a process with all its threads, as /proc/PID/stat tells it in ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10_000_000


def wait_until(condition, timeout_s=20.0):
    """Look until the condition holds; fails if it never does."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.005)
