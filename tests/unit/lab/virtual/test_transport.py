"""The virtual transport: follower and agent start together, end together, and fail with a reason."""

import hashlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config.profile import load_profile
from lab.domain.device import DeviceProfile
from lab.errors import ConfigError, ConnectFailed, ConnectionLost
from lab.transports.base import AgentBundle
from lab.transports.deadlines import deadline_after
from lab.virtual.transport import VirtualTransport
from lab.virtual.truth import last_truth, read_truth
from tests.support.virtual_agent import Block, Worker, wait_until

AGENT = """
import os, sys
token = sys.argv[sys.argv.index("--token") + 1]
root = sys.argv[sys.argv.index("--root") + 1]
os.write(1, token.encode())
while os.read(0, 1000):
    with open(os.path.join(root, "sys/class/hwmon/hwmon0/power1_input"), "rb") as file:
        os.write(1, file.read().strip())
"""
"""Answers whatever it is sent with the power that its root shows."""

PROFILE = load_profile("virtual-pi4")[0]
IDLE_UW = b"2700000"


def bundle_of(folder, code=AGENT):
    path = folder / "bundle.pyz"
    path.write_text(code)
    return AgentBundle(path=path, sha256=hashlib.sha256(code.encode()).hexdigest())


def transport_in(folder, profile=PROFILE):
    return VirtualTransport(profile=profile, python=sys.executable, home=folder / "device")


def ask(stream):
    stream.send(memoryview(b"?"), deadline_after(20))
    buffer = bytearray(1000)
    return bytes(buffer[:stream.recv_into(memoryview(buffer), deadline_after(20))])


def followers(folder):
    """Numbers of the followers of this folder's board that are alive."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"lab.virtual.follower" in arguments and str(folder / "device" / "board").encode() in arguments:
            found.append(int(process.name))
    return found


def test_the_agent_reads_the_simulated_board(tmp_path):
    stream = transport_in(tmp_path).open(bundle_of(tmp_path))
    assert ask(stream) == IDLE_UW
    stream.close()


def test_power_rises_while_a_worker_computes(tmp_path):
    transport = transport_in(tmp_path)
    stream = transport.open(bundle_of(tmp_path))
    block, worker = Block(transport.agent_home), Worker()
    try:
        block.open_window(worker.pid)
        wait_until(lambda: worker.burn(0.05) or int(ask(stream)) > 2_700_000)
    finally:
        worker.end()
        block.end()
        stream.close()
    last = last_truth(transport.truth)
    assert last.state.cpu_ns > 0
    assert last.energy_j == pytest.approx((2.7 * last.state.elapsed_ns + 0.925 * last.state.cpu_ns) * 1e-9, rel=1e-12)


def test_closing_ends_the_follower_too(tmp_path):
    stream = transport_in(tmp_path).open(bundle_of(tmp_path))
    assert len(followers(tmp_path)) == 1
    stream.close()
    stream.close()
    assert followers(tmp_path) == []


def test_a_running_block_keeps_the_follower_until_it_ends(tmp_path):
    transport = transport_in(tmp_path)
    stream = transport.open(bundle_of(tmp_path))
    block = Block(transport.agent_home)
    stream.close()
    rows = len(read_truth(transport.truth))
    wait_until(lambda: len(read_truth(transport.truth)) > rows)
    assert len(followers(tmp_path)) == 1
    block.end()
    wait_until(lambda: followers(tmp_path) == [])


def test_the_board_goes_on_from_one_connection_to_the_next(tmp_path):
    transport = transport_in(tmp_path)
    transport.open(bundle_of(tmp_path)).close()
    first = last_truth(transport.truth)
    transport.open(bundle_of(tmp_path)).close()
    second = last_truth(transport.truth)
    assert second.state.elapsed_ns - first.state.elapsed_ns == second.t_ns - first.t_ns
    assert second.energy_j > first.energy_j > 0


def test_two_connections_share_one_board(tmp_path):
    transport = transport_in(tmp_path)
    one, two = transport.open(bundle_of(tmp_path)), transport.open(bundle_of(tmp_path))
    assert ask(one) == ask(two) == IDLE_UW
    one.close()
    assert ask(two) == IDLE_UW
    two.close()
    assert followers(tmp_path) == []


def test_a_board_whose_follower_died_is_not_measured(tmp_path):
    stream = transport_in(tmp_path).open(bundle_of(tmp_path))
    (follower,) = followers(tmp_path)
    os.kill(follower, signal.SIGKILL)
    wait_until(lambda: followers(tmp_path) == [])
    with pytest.raises(ConnectionLost, match="sensors stand still"):
        ask(stream)
    stream.close()


def test_an_agent_that_does_not_start_leaves_no_follower(tmp_path):
    with pytest.raises(ConnectFailed, match="ZeroDivisionError"):
        transport_in(tmp_path).open(bundle_of(tmp_path, "1 / 0"))
    assert followers(tmp_path) == []


def test_a_follower_that_does_not_start_says_why(tmp_path):
    transport = transport_in(tmp_path)
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "board").write_text("a file where the tree should be")
    with pytest.raises(ConnectFailed, match=r"follower did not start .*FileExistsError.*follower\.log"):
        transport.open(bundle_of(tmp_path))


def test_a_follower_that_never_gets_ready_is_given_up(tmp_path):
    transport = VirtualTransport(PROFILE, sys.executable, tmp_path / "device", start_timeout_s=0.001)
    with pytest.raises(ConnectFailed, match=r"within 0\.001 s: it said nothing"):
        transport.open(bundle_of(tmp_path))
    assert followers(tmp_path) == []


def test_a_real_board_s_profile_cannot_be_simulated(tmp_path):
    profile, _ = load_profile("raspberry-pi-4")
    with pytest.raises(ConfigError, match="describes a real board"):
        transport_in(tmp_path, profile)


def test_physics_is_checked_before_anything_starts(tmp_path):
    with pytest.raises(ConfigError, match=r"physics\.ambient_c: missing"):
        transport_in(tmp_path, replace(PROFILE, physics=PROFILE.physics[1:]))
    assert list(tmp_path.iterdir()) == []


def test_the_device_s_folder_is_the_user_s_alone(tmp_path):
    transport_in(tmp_path).open(bundle_of(tmp_path)).close()
    assert (tmp_path / "device").stat().st_mode & 0o077 == 0


def test_the_board_s_name_is_the_profile_s_without_its_suffix(tmp_path):
    profile = DeviceProfile(name="x", title="Odd Board (virtual)", transport="virtual", physics=PROFILE.physics)
    transport = transport_in(tmp_path, profile)
    transport.open(bundle_of(tmp_path)).close()
    model = (transport.root / "proc/device-tree/model").read_text()
    assert model == "JouleLab virtual board (simulated), like Odd Board\0"
