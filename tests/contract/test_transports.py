"""What every transport promises, on each of them: the agent is real except on the scripted one."""

import hashlib
import os
import sys
import threading
import time

import pytest

from agents.wire.frames import HEADER, MAGIC
from agents.wire.messages import MessageType
from agents.wire.plan import BlockPlan, WindowPlan
from agents.wire.recording import unpack_recording
from lab.devices.bundle import build_bundle
from lab.devices.session import AgentSession
from lab.errors import ConnectionLost, DeviceBusy, ProtocolMismatch, RequestFailed, TransportTimeout
from lab.transports.deadlines import deadline_after
from lab.transports.local import LocalTransport
from lab.transports.ssh import SshTransport
from tests.conftest import need
from tests.support.scripted_agent import ScriptedAgent
from tests.support.sshd import AVAILABLE, Sshd

DATA = os.urandom(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
REAL = ("local", "ssh")
ALL = ("scripted", *REAL)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return build_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    need("sshd", AVAILABLE)
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def transport(request, tmp_path, bundle):
    if request.param == "scripted":
        return ScriptedAgent({"agent_sha256": bundle.sha256}).transport()
    if request.param == "local":
        return LocalTransport(sys.executable, tmp_path / "agent")
    server = request.getfixturevalue("sshd")
    return SshTransport(server.pinned_target(agent_home=str(tmp_path / "agent"), python=sys.executable))


on_all = pytest.mark.parametrize("transport", ALL, indirect=True)
on_real = pytest.mark.parametrize("transport", REAL, indirect=True)


@pytest.fixture
def stream(transport, bundle):
    opened = transport.open(bundle)
    yield opened
    opened.close()


@pytest.fixture
def session(transport, bundle):
    with AgentSession.open(transport, bundle) as opened:
        yield opened


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "artifact"
    path.write_bytes(DATA)
    return path


def receive(stream, size=65536, seconds=20.0):
    buffer = bytearray(size)
    return bytes(buffer[:stream.recv_into(memoryview(buffer), deadline_after(seconds))])


def receive_until_silent(stream):
    data = b""
    while True:
        try:
            data += receive(stream, seconds=0.3)
        except TransportTimeout:
            return data


@on_all
def test_it_says_what_it_is(transport):
    assert transport.link == "stream"
    assert transport.where


@on_all
def test_the_first_byte_is_the_agents_hello(stream):
    head = receive(stream, HEADER.size)
    assert head[:2] == MAGIC
    assert head[2] == MessageType.HELLO


@on_all
def test_reading_in_single_bytes_loses_nothing(stream):
    first = b"".join(receive(stream, 1) for _ in range(HEADER.size))
    _, _, _, _, length = HEADER.unpack(first)
    assert len(receive_until_silent(stream)) == length


@on_all
def test_silence_ends_at_the_deadline(stream):
    receive_until_silent(stream)
    started_ns = time.monotonic_ns()
    with pytest.raises(TransportTimeout, match="before the deadline"):
        receive(stream, seconds=0.1)
    assert time.monotonic_ns() - started_ns >= 100_000_000


@on_all
def test_closing_twice_is_fine_and_nothing_works_after_it(stream):
    stream.close()
    stream.close()
    with pytest.raises(ConnectionLost):
        receive(stream)
    with pytest.raises(ConnectionLost):
        stream.send(memoryview(b"x"), deadline_after(5))
    assert isinstance(stream.ending(), str)


@on_all
def test_closing_wakes_a_reader(stream):
    receive_until_silent(stream)
    seen = []

    def read():
        try:
            seen.append(receive(stream, seconds=60))
        except ConnectionLost:
            seen.append(b"")

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.05)
    stream.close()
    thread.join(10)
    assert seen == [b""]


@on_all
def test_garbage_makes_the_agent_leave_and_the_stream_end(stream):
    receive_until_silent(stream)
    stream.send(memoryview(b"GET / HTTP/1.1\r\n\r\n"), deadline_after(5))
    assert ended(stream)


def ended(stream):
    """Whether the stream ends, in whichever of the two ways, before the deadline's TransportTimeout."""
    try:
        while receive(stream):
            pass
    except ConnectionLost:
        return True
    return True


@on_all
def test_the_same_transport_opens_again_and_again(transport, bundle):
    for _ in range(3):
        with AgentSession.open(transport, bundle) as session:
            assert session.hello["agent_sha256"] == bundle.sha256


@on_all
def test_uploads_arrive_once_and_are_found_by_the_next_session(transport, bundle, artifact):
    with AgentSession.open(transport, bundle) as session:
        fence = session.acquire_lease("contract", 60)
        assert session.put(artifact, SHA256, fence) == len(DATA)
        assert session.put(artifact, SHA256, fence) == 0
    with AgentSession.open(transport, bundle) as session:
        assert session.put(artifact, SHA256, fence) == 0


@on_all
def test_an_upload_with_the_wrong_hash_is_refused(session, artifact):
    fence = session.acquire_lease("contract", 60)
    with pytest.raises(RequestFailed) as caught:
        session.put(artifact, "0" * 64, fence)
    assert caught.value.code == "hash_mismatch"


@on_all
def test_a_second_session_is_told_who_has_the_device(transport, bundle, session):
    fence = session.acquire_lease("contract", 60)
    with AgentSession.open(transport, bundle) as other, pytest.raises(DeviceBusy, match="in use by contract"):
        other.acquire_lease("another", 60)
    session.release_lease(fence)


@on_all
def test_a_stale_fence_is_refused(session):
    fence = session.acquire_lease("contract", 60)
    with pytest.raises(RequestFailed) as caught:
        session.release_lease(fence + 1)
    assert caught.value.code == "fenced"
    session.release_lease(fence)


@on_all
def test_facts_and_clock_can_be_asked_for(session):
    assert session.facts().agent_sha256 == session.hello["agent_sha256"]
    sync = session.clock_sync(8)
    assert 0 < sync.uncertainty_ns < 1_000_000_000


@on_real
def test_on_this_machine_both_ends_have_one_clock(session):
    sync = session.clock_sync()
    assert abs(sync.offset_ns) <= sync.uncertainty_ns


@on_all
def test_requests_may_come_from_several_threads(session):
    results = []
    threads = [threading.Thread(target=lambda: results.append(session.clock_sync(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 4


@on_real
def test_a_block_is_measured_collected_and_acknowledged(session, artifact):
    fence = session.acquire_lease("contract", 120)
    session.put(artifact, SHA256, fence)
    session.start_block(plan_of("contract-block"), fence)
    status = session.wait_block("contract-block", 60)
    assert (status.state, status.windows_done, status.error) == ("done", 1, None)
    entries = session.list_spool("contract-block")
    assert sorted(entry.position for entry in entries) == [0, 1, 2]
    headers = [unpack_recording(session.fetch(entry))[0] for entry in entries]
    assert sorted(header["kind"] for header in headers) == ["idle", "idle", "window"]
    assert {header["boot_id"] for header in headers} == {session.hello["boot_id"]}
    assert session.ack([entry.sha256 for entry in entries], fence) == 3
    assert session.list_spool("contract-block") == ()


@on_real
def test_a_block_goes_on_without_the_link(transport, bundle, artifact):
    with AgentSession.open(transport, bundle) as session:
        fence = session.acquire_lease("contract", 120)
        session.put(artifact, SHA256, fence)
        session.start_block(plan_of("alone", idle_ns=500_000_000), fence)
    with AgentSession.open(transport, bundle) as session:
        assert session.wait_block("alone", 60).state == "done"
        assert len(session.list_spool("alone")) == 3


@on_real
def test_a_block_nobody_started_is_unknown(session):
    assert session.wait_block("never-heard-of", 0.0).state == "unknown"


@on_real
def test_a_plan_without_its_artifact_is_refused(session):
    fence = session.acquire_lease("contract", 60)
    with pytest.raises(RequestFailed) as caught:
        session.start_block(plan_of("without"), fence)
    assert caught.value.code == "missing_artifact"


@on_real
def test_a_running_block_can_be_cancelled(session, artifact):
    fence = session.acquire_lease("contract", 120)
    session.put(artifact, SHA256, fence)
    session.start_block(plan_of("long", idle_ns=60_000_000_000), fence)
    assert session.wait_block("long", 0.2).state == "running"
    session.cancel_block("long", fence)
    assert session.wait_block("long", 30).state == "cancelled"


@on_real
def test_another_agent_under_the_same_name_is_replaced(transport, bundle, tmp_path):
    home = tmp_path / "agent"
    home.mkdir(mode=0o700)
    (home / bundle.path.name).write_bytes(b"something else")
    with AgentSession.open(transport, bundle) as session:
        assert session.hello["agent_sha256"] == bundle.sha256
    assert (home / bundle.path.name).read_bytes() == bundle.path.read_bytes()


@on_real
def test_an_agent_that_is_no_agent_is_refused(transport, tmp_path):
    code = b"import os, sys\nos.write(1, sys.argv[3].encode() + b'Hello, world, this is no frame')\nsys.stdin.read()"
    path = tmp_path / "impostor.pyz"
    path.write_bytes(code)
    impostor = type(build_bundle(tmp_path))(path=path, sha256=hashlib.sha256(code).hexdigest())
    with pytest.raises(ProtocolMismatch, match="expected a frame"):
        AgentSession.open(transport, impostor)


def plan_of(block_id, idle_ns=100_000_000):
    window = WindowPlan(
        cell_id="cell-1", artifact_sha256=SHA256, inputs_sha256=None, runtime="no_op", threads=1, batch=1,
        warmup_ns=10_000_000, length_ns=100_000_000, inferences_min=1)
    return BlockPlan(
        block_id=block_id, number=1, attempt=1, windows=(window,), idle_ns=idle_ns, probes=("memory",),
        sample_rate_hz=10.0, window_deadline_ns=30_000_000_000)
