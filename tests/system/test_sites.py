"""The two sites that other tests lean on: does the wire carry, and does a cut really cut?"""

from __future__ import annotations

import getpass
import select
import subprocess
import sys
import time

import pytest

from tests.conftest import need
from tests.support import postgres, sshd
from tests.support.netns import ADDRESSES, AVAILABLE, CONTROLLER, DEVICE, Sites

pytestmark = pytest.mark.system

SERVER = """
import socket, sys, threading
def echo(connection):
    while data := connection.recv(4096):
        connection.sendall(data)
listener = socket.create_server((sys.argv[1], 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()
"""
CLIENT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)
connection.settimeout(60)
for line in sys.stdin:
    connection.sendall(line.encode())
    print(connection.recv(4096).decode(), end="", flush=True)
"""
WAIT_S = 60.0


class Echo:
    """A TCP echo at the device's site, reached from the controller's."""

    def __init__(self, sites):
        self._sites = sites
        server = sites.exec(DEVICE, [sys.executable, "-c", SERVER, ADDRESSES[DEVICE]], stdout=subprocess.PIPE,
                            text=True)
        self._port = server.stdout.readline().strip()

    def client(self):
        """A process that sends each line it reads and prints what comes back."""
        return self._sites.exec(CONTROLLER, [sys.executable, "-c", CLIENT, ADDRESSES[DEVICE], self._port],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def answers(self):
        """Whether a new connection gets its word back."""
        return self.client().communicate("word\n", timeout=WAIT_S)[0] == "word\n"

    def answers_soon(self):
        """The same, asked until it is so or WAIT_S have passed."""
        deadline = time.monotonic() + WAIT_S
        while not (yes := self.answers()) and time.monotonic() < deadline:
            pass
        return yes


def say(client, word):
    client.stdin.write(f"{word}\n")
    client.stdin.flush()


def heard(client, wait_s):
    """The next line, or None if there is none in that time."""
    return client.stdout.readline().strip() if select.select([client.stdout], [], [], wait_s)[0] else None


def namespaces():
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def sites():
    need("netns", AVAILABLE)
    with Sites() as running:
        yield running


@pytest.fixture
def echo(sites):
    return Echo(sites)


class TestWire:
    def test_it_carries(self, echo):
        assert echo.answers()

    @pytest.mark.parametrize("where", [None, CONTROLLER, DEVICE])
    def test_a_cut_cuts_and_healing_heals(self, sites, echo, where):
        sites.cut(where)
        sites.cut(where)
        assert not echo.answers()
        sites.heal()
        assert echo.answers_soon()

    def test_a_silent_cut_keeps_the_connection_and_what_was_said_arrives_later(self, sites, echo):
        client = echo.client()
        say(client, "before")
        assert heard(client, WAIT_S) == "before"
        sites.cut()
        say(client, "during")
        assert heard(client, 1.0) is None
        assert client.poll() is None
        sites.heal()
        assert heard(client, WAIT_S) == "during"

    @pytest.mark.parametrize(("where", "carrier"), [(None, "1"), (CONTROLLER, "0")])
    def test_only_a_pulled_cable_is_noticed_by_its_site(self, sites, where, carrier):
        sites.cut(where)
        seen = sites.exec(CONTROLLER, ["cat", "/sys/class/net/wire/carrier"], stdout=subprocess.PIPE, text=True)
        assert seen.communicate(timeout=WAIT_S)[0].strip() == carrier

    def test_two_pairs_do_not_meet(self, sites, echo):
        with Sites() as others:
            others.cut()
            assert echo.answers()
            assert {others.name(site) for site in ADDRESSES}.isdisjoint(sites.name(site) for site in ADDRESSES)


class TestServersAtASite:
    def test_sshd_at_the_device_is_reached_from_the_controller(self, sites, tmp_path):
        need("sshd", sshd.AVAILABLE)
        with sshd.Sshd(tmp_path, address=ADDRESSES[DEVICE], prefix=sites.prefix(DEVICE)) as server:
            target = server.pinned_target()
            assert target.host == ADDRESSES[DEVICE]
            client = sites.exec(CONTROLLER, [
                "ssh", "-F", "none", "-p", target.port, "-i", server.user_key, "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={server.known_hosts}",
                "-o", "IdentityAgent=none",
                f"{getpass.getuser()}@{target.host}", "echo $SSH_CONNECTION"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            words, complaint = client.communicate(timeout=WAIT_S)
            assert client.returncode == 0, complaint
            assert words.split()[0::2] == [ADDRESSES[CONTROLLER], ADDRESSES[DEVICE]]

    def test_postgres_at_the_controller_is_lost_by_a_cut_and_found_again(self, sites):
        need("postgres", postgres.AVAILABLE)
        ask = ("import psycopg, sys\nwith psycopg.connect(sys.argv[1], connect_timeout=2) as connection:\n"
               "    print(connection.execute('SELECT inet_client_addr()').fetchone()[0])")

        def answer():
            client = sites.exec(DEVICE, [sys.executable, "-c", ask, server.conninfo()], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
            return client.communicate(timeout=WAIT_S)[0].strip()

        with postgres.Postgres(address=ADDRESSES[CONTROLLER], tls=True, prefix=sites.prefix(CONTROLLER)) as server:
            assert answer() == ADDRESSES[DEVICE]
            sites.cut()
            assert answer() == ""
            sites.heal()
            deadline = time.monotonic() + WAIT_S
            while not (found := answer()) and time.monotonic() < deadline:
                pass
            assert found == ADDRESSES[DEVICE]


class TestCleanliness:
    def test_nothing_is_left(self):
        need("netns", AVAILABLE)
        with Sites() as sites:
            names = [sites.name(site) for site in ADDRESSES]
            process = sites.exec(DEVICE, ["sleep", "1000"])
            assert all(name in namespaces() for name in names)
        assert process.returncode == -9
        assert not any(name in namespaces() for name in names)

    def test_an_error_inside_leaves_nothing(self):
        need("netns", AVAILABLE)
        with pytest.raises(ZeroDivisionError), Sites() as sites:
            raise ZeroDivisionError
        assert not any(sites.name(site) in namespaces() for site in ADDRESSES)

    def test_a_pair_that_cannot_be_built_leaves_nothing_and_says_what_failed(self, sites):
        second = Sites()
        second._names = {DEVICE: "jl-never-built", CONTROLLER: sites.name(CONTROLLER)}
        with pytest.raises(RuntimeError, match=r"ip netns add jl\S+-controller failed: .*File exists"):
            second.__enter__()
        assert "jl-never-built" not in namespaces()
        assert sites.name(CONTROLLER) in namespaces()
