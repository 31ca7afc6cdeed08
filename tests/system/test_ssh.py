"""Real OpenSSH servers, right and wrong: every bad host must say what is wrong with it and what to do."""

import getpass
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agents.wire.link import StreamLink
from lab.devices.bundle import build_bundle
from lab.devices.conversation import Conversation
from lab.devices.request import Liveness
from lab.devices.session import AgentSession
from lab.errors import AuthFailed, ConfigError, ConnectFailed, ConnectionLost, HostKeyError, TransportTimeout
from lab.transports.deadlines import deadline_after
from lab.transports.known_hosts import known_keys
from lab.transports.ssh import SshTransport, accept_host_key, fetch_host_key
from lab.transports.ssh_auth import log_in
from lab.transports.ssh_channel import start_command
from lab.transports.ssh_connect import connect
from lab.transports.ssh_target import resolve
from tests.conftest import need
from tests.support.relay import Relay
from tests.support.sshd import AVAILABLE, Sshd, make_key

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return build_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    """A good host, shared by tests that do not change it."""
    need("sshd", AVAILABLE)
    with Sshd(tmp_path_factory.mktemp("sshd"), key_types=("ed25519", "ecdsa", "rsa")) as server:
        yield server


@pytest.fixture
def host(tmp_path):
    """Makes hosts of a test's own."""
    need("sshd", AVAILABLE)
    running = []

    def make(**options):
        running.append(Sshd(tmp_path / f"sshd{len(running)}", **options).__enter__())
        return running[-1]

    yield make
    for server in running:
        server.stop()


def opened(target, bundle, **options):
    return AgentSession.open(SshTransport(target), bundle, **options)


def refused(target, bundle, error):
    """The text of the error that opening raises."""
    with pytest.raises(error) as caught:
        opened(target, bundle)
    return str(caught.value)


class TestHostKeys:
    def test_an_unknown_key_shows_its_fingerprint_and_the_way_to_accept_it(self, sshd, bundle, tmp_path):
        target = sshd.target(known_hosts=tmp_path / "pins")
        text = refused(target, bundle, HostKeyError)
        shown = subprocess.run(["ssh-keygen", "-lf", f"{sshd.folder}/host_ed25519.pub"], capture_output=True, text=True,
                               check=True).stdout.split()[1]
        assert f"its host key is not known here: ssh-ed25519 {shown}" in text
        assert text.endswith(f"lab devices add NAME {target.url} --accept-key {shown}")
        assert not (tmp_path / "pins").exists()
        assert accept_host_key(target, shown).fingerprint == shown
        opened(target, bundle).close()

    def test_accepting_another_fingerprint_pins_nothing(self, sshd, tmp_path):
        target = sshd.target(known_hosts=tmp_path / "pins")
        with pytest.raises(HostKeyError, match="asked to accept SHA256:other, but the host presents ssh-ed25519 SHA"):
            accept_host_key(target, "SHA256:other")
        assert not (tmp_path / "pins").exists()

    def test_a_changed_key_shows_both(self, host, bundle):
        server = host()
        target = server.pinned_target()
        old = fetch_host_key(target)
        server.replace_host_key()
        new = fetch_host_key(target)
        text = refused(target, bundle, HostKeyError)
        assert "host key has CHANGED" in text
        assert f"Expected ssh-ed25519 {old.fingerprint} ({server.known_hosts} line 1)" in text
        assert f"got ssh-ed25519 {new.fingerprint}" in text
        accept_host_key(target, new.fingerprint)
        opened(target, bundle).close()

    def test_a_key_of_another_type_is_a_changed_key(self, host, bundle):
        server = host()
        target = server.pinned_target()
        server.replace_host_key("ecdsa")
        text = refused(target, bundle, HostKeyError)
        assert "host key has CHANGED. Expected ssh-ed25519 SHA256:" in text
        assert "got ecdsa-sha2-nistp256 SHA256:" in text

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_any_of_a_hosts_keys_may_be_the_known_one(self, sshd, bundle, tmp_path, kind):
        name, blob = (sshd.folder / f"host_{kind}.pub").read_text().split()[:2]
        (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {name} {blob}\n")
        opened(sshd.target(user_known_hosts=tmp_path / "known_hosts", known_hosts=tmp_path / "pins"), bundle).close()

    def test_hashed_names_and_bad_lines_in_the_users_file_are_no_hindrance(self, sshd, bundle, tmp_path):
        path = tmp_path / "known_hosts"
        name, blob = (sshd.folder / "host_ed25519.pub").read_text().split()[:2]
        path.write_text(f"[127.0.0.1]:{sshd.port} {name} {blob}\n")
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
        assert "127.0.0.1" not in path.read_text()
        path.write_text(f"@cert-authority *.lab ssh-rsa AAAA\nrubbish\n{path.read_text()}")
        before = path.read_bytes()
        opened(sshd.target(user_known_hosts=path, known_hosts=tmp_path / "pins"), bundle).close()
        assert path.read_bytes() == before

    def test_a_revoked_key_stops_everything(self, sshd, bundle, tmp_path):
        name, blob = (sshd.folder / "host_ed25519.pub").read_text().split()[:2]
        (tmp_path / "known_hosts").write_text(f"@revoked * {name} {blob}\n")
        text = refused(sshd.target(user_known_hosts=tmp_path / "known_hosts", known_hosts=tmp_path / "pins"), bundle,
                       HostKeyError)
        assert "is marked as revoked; do not connect" in text

    def test_pinning_keeps_what_is_there(self, sshd):
        target = sshd.pinned_target()
        assert len(known_keys(target.known_hosts, None, f"[127.0.0.1]:{sshd.port}").keys) == 1


class TestLogin:
    def test_a_user_the_host_does_not_know(self, sshd, bundle):
        text = refused(sshd.pinned_target(user="nobody-here"), bundle, AuthFailed)
        assert text.startswith(f"nobody-here@127.0.0.1:{sshd.port}: the server refused user 'nobody-here'; tried ")
        assert f"{sshd.user_key} (ssh-ed25519)" in text
        assert "~nobody-here/.ssh/authorized_keys" in text

    def test_a_key_the_host_does_not_know(self, sshd, bundle, tmp_path):
        wrong = make_key(tmp_path / "wrong", "rsa")
        text = refused(sshd.pinned_target(identity_files=(wrong,)), bundle, AuthFailed)
        assert f"tried {wrong} (ssh-rsa)" in text

    def test_keys_that_cannot_be_tried_say_why(self, sshd, bundle, tmp_path):
        locked = make_key(tmp_path / "locked", passphrase="secret words")
        rubbish = tmp_path / "rubbish"
        rubbish.write_text("no key")
        text = refused(sshd.pinned_target(identity_files=(locked, rubbish, tmp_path / "absent")), bundle, AuthFailed)
        assert "no key to try; not tried: " in text
        assert f"{locked} (it has a passphrase: add it to ssh-agent with ssh-add)" in text
        assert f"{rubbish} (no usable private key" in text
        assert f"{tmp_path / 'absent'} (no such file)" in text

    def test_too_many_keys_for_the_server(self, sshd, bundle, tmp_path):
        wrong = tuple(make_key(tmp_path / f"key{number}") for number in range(8))
        text = refused(sshd.pinned_target(identity_files=wrong), bundle, AuthFailed)
        assert "the server closed the connection after too many keys" in text

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_other_kinds_of_keys(self, host, bundle, kind):
        server = host()
        key = make_key(server.folder / "other", kind)
        shutil.copy(f"{key}.pub", server.folder / "authorized_keys")
        opened(server.pinned_target(identity_files=(key,)), bundle).close()

    def test_usual_files_come_last(self, sshd, bundle, tmp_path):
        wrong = make_key(tmp_path / "wrong")
        target = sshd.pinned_target(identity_files=(wrong,), default_keys=(tmp_path / "absent", sshd.user_key))
        opened(target, bundle).close()

    def test_a_server_that_takes_only_passwords(self, host, bundle):
        server = host(options=("PasswordAuthentication yes", "PubkeyAuthentication no"))
        assert "takes only password, the lab logs in with a key" in refused(server.pinned_target(), bundle, AuthFailed)

    def test_a_server_that_wants_more_than_a_key(self, host, bundle):
        server = host(options=("PasswordAuthentication yes", "AuthenticationMethods publickey,password"))
        assert "also wants password after the key" in refused(server.pinned_target(), bundle, AuthFailed)

    def test_an_ssh_agent_holds_the_key(self, sshd, bundle, tmp_path, monkeypatch):
        need("ssh-agent", shutil.which("ssh-agent") and shutil.which("ssh-add"))
        path = tmp_path / "agent.sock"
        keeper = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
        try:
            while not path.exists():
                assert keeper.poll() is None
            monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
            subprocess.run(["ssh-add", "-q", str(sshd.user_key)], check=True, capture_output=True)
            opened(sshd.pinned_target(identity_files=(), use_agent=True), bundle).close()
            stranger = sshd.pinned_target(identity_files=(), use_agent=True, user="nobody-here")
            assert "tried ssh-agent" in refused(stranger, bundle, AuthFailed)
        finally:
            keeper.terminate()
            keeper.wait(10)

    def test_the_users_configuration_is_followed(self, sshd, bundle, tmp_path):
        config = tmp_path / "config"
        config.write_text(f"Host board\n HostName 127.0.0.1\n Port {sshd.port}\n User {getpass.getuser()}\n"
                          f" IdentityFile {sshd.user_key}\n IdentitiesOnly yes\n")
        target = replace(
            sshd.pinned_target(), host="board", port=None, user=None, identity_files=(), config_file=config)
        opened(target, bundle).close()
        config.write_text(config.read_text() + " ProxyJump gate\n")
        assert "ProxyJump 'gate' for this host, which is not supported yet" in refused(target, bundle, ConfigError)


class TestConnection:
    def test_gcm_comes_first_only_where_it_is_known_to_be_fast(self, sshd):
        for prefer_gcm, cipher in ((True, "aes128-gcm@openssh.com"), (False, "aes128-ctr")):
            transport = connect(resolve(sshd.pinned_target(prefer_gcm=prefer_gcm)))
            assert transport.local_cipher == cipher
            assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert transport.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            transport.close()
            transport.join(5)

    def test_a_server_without_common_algorithms(self, host):
        server = host(options=("Ciphers chacha20-poly1305@openssh.com",))
        with pytest.raises(ConnectFailed, match=r"no common SSH algorithms: .*no acceptable ciphers"):
            fetch_host_key(server.target())

    def test_a_flood_on_stderr_stops_nothing(self, sshd):
        stream = command_on(sshd, f"{sys.executable} -c '{FLOOD}'")
        assert receive(stream) == b"done\n"
        assert receive(stream) == b""
        assert stream.ending() == "the remote command ended with status 3; stderr: " + "…" + "x" * 391 + " the end"
        stream.close()

    def test_a_command_that_reads_nothing_is_a_timeout(self, sshd):
        stream = command_on(sshd, "sleep 30")
        with pytest.raises(TransportTimeout, match="accepted no data before the deadline"):
            send_all(stream, bytes(20_000_000), seconds=1.0)
        stream.close()

    def test_a_command_that_is_gone_takes_no_more(self, sshd):
        stream = command_on(sshd, "exit 4")
        assert receive(stream) == b""
        with pytest.raises(ConnectionLost, match="remote command ended with status 4"):
            send_all(stream, bytes(50_000_000), seconds=10)
        stream.close()


FLOOD = 'import sys; sys.stderr.write("x" * 6000000 + " the end"); print("done"); sys.exit(3)'


def command_on(sshd, command):
    resolved = resolve(sshd.pinned_target())
    transport = connect(resolved)
    log_in(transport, resolved)
    return start_command(transport, command, "here", 20)


def receive(stream):
    buffer = bytearray(1000)
    return bytes(buffer[:stream.recv_into(memoryview(buffer), deadline_after(30))])


def send_all(stream, data, seconds):
    view = memoryview(data)
    deadline_ns = deadline_after(seconds)
    while view:
        view = view[stream.send(view, deadline_ns):]


class TestHosts:
    def test_a_host_without_python(self, host, bundle, tmp_path):
        empty = tmp_path / "empty"
        empty.mkdir()
        server = host(environment={"PATH": str(empty)})
        text = refused(server.pinned_target(), bundle, ConnectFailed)
        assert re.fullmatch(r"no python3 on .*@127\.0\.0\.1:\d+: install Python 3\.9 or newer there, or .*", text)

    def test_a_host_with_python_3_7_only(self, host, bundle):
        old = Path.home() / ".pyenv/versions/3.7.16/bin"
        need("python3.7.16", old.exists())
        server = host(environment={"PATH": str(old)})
        text = refused(server.pinned_target(), bundle, ConnectFailed)
        assert f"python 3.7.16 at {old}/python3" in text
        assert "is too old, need 3.9" in text

    def test_a_python_that_is_not_there(self, sshd, bundle):
        text = refused(sshd.pinned_target(python="/opt/none/python"), bundle, ConnectFailed)
        assert "/opt/none/python was not found; name one that exists with `lab devices add … --python PATH`" in text

    @pytest.mark.parametrize(("home", "reason"), [
        ("/proc/joulelab", "No such file"), ("file/agent", "Not a directory"),
    ])
    def test_a_home_that_cannot_be_made(self, sshd, bundle, home, reason):
        (sshd.home / "file").write_text("")
        text = refused(sshd.pinned_target(agent_home=home), bundle, ConnectFailed)
        assert re.search(rf"the agent's folder .*{home} cannot be written: .*{reason}.*; make it writable", text)

    def test_a_home_that_is_read_only(self, sshd, bundle, tmp_path):
        path = "/sys/joulelab"
        if os.geteuid() != 0:
            (tmp_path / "ro").mkdir(mode=0o500)
            path = str(tmp_path / "ro" / "agent")
        text = refused(sshd.pinned_target(agent_home=path), bundle, ConnectFailed)
        assert f"the agent's folder {path} cannot be written" in text
        assert re.search("not permitted|Permission denied|Read-only", text)

    def test_a_shell_that_talks(self, host, bundle):
        server = host()
        (server.home / ".bashrc").write_text("echo Welcome; printf '\\033[31m'; echo oops >&2\n")
        (server.home / ".cshrc").write_text("echo Welcome\n")
        opened(server.pinned_target(), bundle).close()

    def test_a_login_that_only_prints(self, host, bundle):
        server = host(options=("ForceCommand echo This account is closed",))
        text = refused(server.pinned_target(), bundle, ConnectFailed)
        assert "ended without an agent; it printed 'This account is closed'" in text

    def test_a_login_that_hangs(self, host, bundle):
        server = host(options=("ForceCommand sleep 30",))
        text = refused(server.pinned_target(start_timeout_s=1.0), bundle, TransportTimeout)
        assert "no agent in time" in text

    def test_the_agent_lives_in_the_home_and_is_sent_once(self, host, bundle):
        server = host()
        for _ in range(2):
            opened(server.pinned_target(), bundle).close()
        [agent] = (server.home / ".cache/joulelab").glob("agent-*.pyz")
        assert agent.name == bundle.path.name
        assert (server.home / ".cache/joulelab").stat().st_mode & 0o777 == 0o700

    def test_a_supported_old_python_with_onnxruntime(self, sshd, bundle):
        python = Path(f"{sys.prefix}-py39/bin/python")  # made by `make test`, beside the environment this runs in
        need("py39", os.access(python, os.X_OK))
        with opened(sshd.pinned_target(python=str(python)), bundle) as session:
            facts = session.facts()
        assert facts.python.startswith("3.9.")
        assert "onnx_runtime" in dict(facts.runtimes)


class TestBrokenLinks:
    DATA = os.urandom(30_000_000)
    SHA256 = hashlib.sha256(DATA).hexdigest()

    @pytest.fixture
    def artifact(self, tmp_path):
        path = tmp_path / "artifact"
        path.write_bytes(self.DATA)
        return path

    def test_an_upload_cut_in_the_middle_goes_on_where_it_stopped(self, sshd, bundle, artifact, tmp_path):
        target = sshd.pinned_target(agent_home=str(tmp_path / "agent"))
        with Relay(sshd.port, cut_after_bytes=20_000_000) as relay:
            through = self._through(sshd, relay, target)
            with opened(through, bundle) as session:
                fence = session.acquire_lease("upload", 60)
                with pytest.raises(ConnectionLost, match=r"the SSH link ended|the agent ended the link"):
                    session.put(artifact, self.SHA256, fence)
        seen = []
        with opened(target, bundle) as session:
            sent = session.put(artifact, self.SHA256, fence, lambda done, _: seen.append(done))
            assert 0 < sent < len(self.DATA)
            assert seen[0] - (len(self.DATA) - sent) <= 32704
            assert session.put(artifact, self.SHA256, fence) == 0
        assert (tmp_path / "agent" / "blobs" / self.SHA256).read_bytes() == self.DATA

    def test_a_link_that_falls_silent_is_given_up(self, sshd, bundle, tmp_path):
        target = sshd.pinned_target(agent_home=str(tmp_path / "agent"))
        with Relay(sshd.port) as relay:
            stream = SshTransport(self._through(sshd, relay, target)).open(bundle)
            conversation = Conversation(stream, StreamLink(), "pi", Liveness(quiet_s=0.2, dead_s=1.0))
            conversation.hello(10)
            relay.freeze_after_bytes = 0
            with pytest.raises(ConnectionLost, match="not a byte for 1 s while waiting for facts"):
                conversation.call("facts", {}, 60)
            conversation.close()

    def test_a_server_that_stops_is_the_end_of_the_link(self, host, bundle):
        server = host()
        with opened(server.pinned_target(), bundle) as session:
            server.kill_sessions()
            with pytest.raises(ConnectionLost):
                session.clock_sync()

    @staticmethod
    def _through(sshd, relay, target):
        """The same host by way of the relay; its key is known under that address too."""
        name, blob = (sshd.folder / "host_ed25519.pub").read_text().split()[:2]
        with target.known_hosts.open("a") as pins:
            pins.write(f"[127.0.0.1]:{relay.port} {name} {blob}\n")
        return replace(target, port=relay.port)
