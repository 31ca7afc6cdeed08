"""The local transport's own failures; what it does with a working agent stands in the contract tests."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from lab.errors import ConnectFailed, ConnectionLost, TransportTimeout
from lab.transports.base import AgentBundle
from lab.transports.deadlines import deadline_after
from lab.transports.local import LocalTransport
from tests.conftest import need

AGENT = """
import os, sys, zipfile
token = sys.argv[sys.argv.index("--token") + 1]
os.write(1, token.encode() + repr((sys.argv[1:2], os.getpgid(0) == os.getpid(), os.getcwd())).encode())
while data := os.read(0, 1000):
    os.write(1, data)
"""


def bundle_of(folder, code):
    path = folder / "bundle.pyz"
    path.write_text(code)
    return AgentBundle(path=path, sha256=hashlib.sha256(code.encode()).hexdigest())


def receive(stream):
    buffer = bytearray(1000)
    return bytes(buffer[:stream.recv_into(memoryview(buffer), deadline_after(20))])


def test_the_agent_runs_in_a_group_of_its_own_and_holds_no_folder(tmp_path):
    stream = LocalTransport(sys.executable, tmp_path / "home").open(bundle_of(tmp_path, AGENT))
    assert receive(stream) == b"(['serve'], True, '/')"
    stream.close()


def test_a_relative_home_means_here(tmp_path):
    home = Path(os.path.relpath(tmp_path / "home"))
    LocalTransport(sys.executable, home).open(bundle_of(tmp_path, AGENT)).close()
    assert len(list((tmp_path / "home").glob("agent-*.pyz"))) == 1


def test_a_python_that_is_not_there(tmp_path):
    transport = LocalTransport(tmp_path / "python9", tmp_path / "home")
    with pytest.raises(ConnectFailed, match=r"this machine: .*python9 could not be started: No such file"):
        transport.open(bundle_of(tmp_path, AGENT))


def test_a_python_that_is_too_old(tmp_path):
    python = Path.home() / ".pyenv/versions/3.7.16/bin/python"
    need("python3.7.16", python.exists())
    with pytest.raises(ConnectFailed, match=r"python 3\.7\.16 at .* is too old, need 3\.9"):
        LocalTransport(python, tmp_path / "home").open(bundle_of(tmp_path, AGENT))


def test_a_home_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConnectFailed, match=r"file/home cannot be written: .*Not a directory"):
        LocalTransport(sys.executable, tmp_path / "file" / "home").open(bundle_of(tmp_path, AGENT))


def test_an_agent_that_crashes_shows_its_traceback(tmp_path):
    with pytest.raises(ConnectFailed, match=r"ended with status 1; stderr: .*ZeroDivisionError"):
        LocalTransport(sys.executable, tmp_path / "home").open(bundle_of(tmp_path, "1 / 0"))


def test_an_agent_that_hangs_is_given_up(tmp_path):
    transport = LocalTransport(sys.executable, tmp_path / "home", start_timeout_s=0.5)
    with pytest.raises(TransportTimeout, match="this machine: no agent in time"):
        transport.open(bundle_of(tmp_path, "import sys; sys.stdin.read()"))


def test_an_agent_that_dies_later_is_the_end_of_the_stream(tmp_path):
    bundle = bundle_of(tmp_path, AGENT + "\nraise SystemExit(7)")
    stream = LocalTransport(sys.executable, tmp_path / "home").open(bundle)
    receive(stream)
    stream.close()
    assert stream.ending() == "its process ended with status 7"
    with pytest.raises(ConnectionLost):
        receive(stream)


def test_where_names_a_fake_root(tmp_path):
    assert LocalTransport("python3", tmp_path).where == "this machine"
    assert LocalTransport("python3", tmp_path, tmp_path).where == f"this machine with sensors under {tmp_path}"
