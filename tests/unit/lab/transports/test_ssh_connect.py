"""Nobody there, somebody else there, or an SSH server that stops answering: no server of ours is needed for these."""

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from lab.errors import ConnectFailed, TransportTimeout
from lab.transports.known_hosts import HostKey, KnownKey, KnownKeys
from lab.transports.ssh import SshTarget, fetch_host_key
from lab.transports.ssh_channel import start_command
from lab.transports.ssh_connect import usable_types
from tests.support.sshd import free_port


def target(port, host="127.0.0.1", **changes):
    return SshTarget(host, "me", port, known_hosts=Path("none"), config_file=None, user_known_hosts=None,
                     use_agent=False, default_keys=(), **{"connect_timeout_s": 1.0, **changes})


@contextmanager
def listener(speak=None):
    """A peer that accepts and sends `speak`, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = []

        def accept():
            connection, _ = server.accept()
            accepted.append(connection)
            if speak:
                connection.sendall(speak)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join(5)
            for connection in accepted:
                connection.close()


def test_no_server_on_the_port():
    port = free_port()
    with pytest.raises(ConnectFailed, match=rf"me@127\.0\.0\.1:{port}: connection refused; is an SSH server running"):
        fetch_host_key(target(port))


def test_a_name_that_is_none():
    with pytest.raises(ConnectFailed, match=r"host name 'no-such-host.invalid' cannot be resolved|not resolved within"):
        fetch_host_key(target(22, "no-such-host.invalid"))


@pytest.mark.parametrize("host", ["a" * 300, "a..b"])
def test_a_name_that_cannot_be_one(host):
    with pytest.raises(ConnectFailed, match="cannot be resolved"):
        fetch_host_key(target(22, host))


def test_an_address_nobody_answers_at():
    started = time.monotonic()
    with pytest.raises(ConnectFailed, match=r"no answer within 1 s; is the device|cannot be reached|refused"):
        fetch_host_key(target(22, "192.0.2.1"))  # TEST-NET-1: never routed
    assert time.monotonic() - started < 20


def test_a_peer_that_says_nothing():
    with listener() as port, pytest.raises(ConnectFailed, match="the port is open, but no SSH server spoke within 1 s"):
        fetch_host_key(target(port))


@pytest.mark.parametrize("speak", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n" * 30, b"SSH-1.5-ancient\r\n", b"SSH-2.0-x\r\n" + b"\0" * 2000,
    b"\xff\xfe" * 5000,
])
def test_a_peer_that_speaks_something_else(speak):
    with listener(speak) as port, pytest.raises(ConnectFailed, match=r"no SSH server|handshake failed|no common SSH"):
        fetch_host_key(target(port))


def known(*kinds):
    return KnownKeys(tuple(KnownKey(HostKey(kind, "x", "SHA256:x"), Path("f"), 1) for kind in kinds), ())


def test_only_known_types_are_offered_in_the_best_order():
    assert usable_types(known("ssh-rsa", "ssh-ed25519")) == ("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256")
    assert usable_types(known("ecdsa-sha2-nistp256")) == ("ecdsa-sha2-nistp256",)
    assert usable_types(known("sk-ssh-ed25519@openssh.com", "ssh-dss")) == ()
    assert usable_types(known()) == ()


class _Server(paramiko.ServerInterface):
    """Lets everyone in and then takes its time over the command."""

    def __init__(self, release):
        self._release = release

    def check_auth_none(self, *_):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, *_):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, *_):
        self._release.wait(30)
        return False


@contextmanager
def client_of_a_slow_server(release):
    ours, theirs = socket.socketpair()
    server = paramiko.Transport(theirs)
    server.add_server_key(paramiko.ECDSAKey.generate())
    server.start_server(server=_Server(release), event=threading.Event())
    client = paramiko.Transport(ours)
    client.start_client(timeout=10)
    client.auth_none("me")
    yield client
    release.set()
    client.close()
    server.close()
    client.join(5)
    server.join(5)


def test_a_server_that_never_starts_the_command_is_given_up():
    with client_of_a_slow_server(threading.Event()) as client:
        with pytest.raises(TransportTimeout, match=r"me@pi: start of the remote command: no end within 0\.3 s"):
            start_command(client, "true", "me@pi", 0.3)
        assert not client.is_active()


def test_a_server_that_refuses_the_command_says_so():
    release = threading.Event()
    release.set()
    with client_of_a_slow_server(release) as client, pytest.raises(ConnectFailed, match="started no command"):
        start_command(client, "true", "me@pi", 10)
