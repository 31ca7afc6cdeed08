"""Starting the agent: the token, the home, what a crash left behind, and the verbs of its command line."""

import json
import stat
import subprocess
import sys
from array import array

import pytest

from agents.__main__ import main
from agents.clocks import read_boot_id
from agents.home import AgentHome
from agents.spool import Spool
from agents.wire.recording import pack_recording
from tests.support.agent_process import AgentProcess, AgentRefused

GOVERNOR = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"


def test_the_home_is_made_and_closed_to_others(agent):
    assert stat.S_IMODE(agent.home.stat().st_mode) == 0o700


@pytest.mark.parametrize("token", ["", "short", "X" * 32, "0" * 33])
def test_a_bad_token_is_refused_and_nothing_is_written(bundle, tmp_path, token):
    done = subprocess.run([sys.executable, str(bundle), "serve", "--token", token, "--home", str(tmp_path / "h")],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    assert done.stdout == b""
    assert b"--token" in done.stderr


def test_the_token_is_the_first_thing_written(bundle, tmp_path):
    token = "0123456789abcdef" * 2
    done = subprocess.run([sys.executable, "-S", "-E", str(bundle), "serve", "--token", token, "--home",
                           str(tmp_path / "h")], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
    assert done.stdout.startswith(token.encode() + b"JL")


def test_state_left_by_a_killed_block_is_put_back_at_the_next_start(start_agent, tmp_path):
    governor = tmp_path / "root" / GOVERNOR
    governor.parent.mkdir(parents=True)
    governor.write_text("performance")
    home = AgentHome(tmp_path / "home")
    home.create()
    home.state_journal.write_text(json.dumps(
        {"boot_id": read_boot_id(), "root": str(tmp_path / "root"), "before": [[GOVERNOR, "powersave"]]}))
    start_agent(root=tmp_path / "root")
    assert governor.read_text() == "powersave"
    assert not home.state_journal.exists()


def test_a_home_that_cannot_be_made_is_an_error_of_what_needs_it(start_agent, tmp_path):
    (tmp_path / "file").touch()
    agent = start_agent(home=tmp_path / "file" / "home", scratch=tmp_path)
    assert agent.call("block.status", block_id="b")["state"] == "unknown"
    assert agent.call("spool.list")["entries"] == []
    with pytest.raises(AgentRefused, match="os_error"):
        agent.acquire()


AS_NOBODY = """import codecs, os, sys; sys.path.insert(0, sys.argv.pop(1)); codecs.lookup("ascii")
from pathlib import Path; from agents.serve import serve
token, home, root = sys.argv[3::2]
if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)  # root could write anywhere
sys.exit(serve(token, Path(home), Path(root)))"""


def test_a_home_this_user_may_not_write_is_read_only(bundle, tmp_path):
    home = tmp_path / "home"
    AgentHome(home).create()
    above = list(bundle.parents)[:3]
    for folder in (bundle, *above, tmp_path, home):
        folder.chmod(0o555)
    try:
        command = [sys.executable, "-S", "-E", "-c", AS_NOBODY, str(bundle)]
        with AgentProcess(bundle, home, command=command) as agent:
            with pytest.raises(AgentRefused, match="may not write") as caught:
                agent.acquire()
            assert caught.value.code == "read_only"
    finally:
        for folder in (*above, tmp_path, home):
            folder.chmod(0o700)


def test_spool_prints_what_waits(tmp_path, capsys):
    Spool(AgentHome(tmp_path)).add("b", 1, 2, pack_recording({"cell_id": "c"}, {"latency_ns": array("q", [1])}))
    assert main(["spool", "--home", str(tmp_path)]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry["block_id"], entry["cell_id"], entry["attempt"], entry["position"]) == ("b", "c", 1, 2)


@pytest.mark.parametrize("argv", [[], ["nothing"], ["serve"], ["block"]])
def test_a_command_line_that_makes_no_sense_is_explained(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: agent" in capsys.readouterr().err


def test_worker_facts_prints_one_object_a_line(tmp_path, capsys):
    assert main(["worker", "--facts", "--root", str(tmp_path)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"runtime": {"no_op": "1"}} in found
