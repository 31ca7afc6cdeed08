"""Key files as they lie on people's disks: each is a key or a reason."""

import base64
import shutil

import pytest

from lab.transports.ssh_auth import load_identity
from tests.conftest import need
from tests.support.sshd import make_key


@pytest.fixture(autouse=True)
def _keygen():
    need("ssh-keygen", shutil.which("ssh-keygen"))


@pytest.mark.parametrize(("kind", "name"), [
    ("ed25519", "ssh-ed25519"), ("ecdsa", "ecdsa-sha2-nistp256"), ("rsa", "ssh-rsa"),
])
def test_keys_of_every_kind_are_read(tmp_path, kind, name):
    identity = load_identity(make_key(tmp_path / "key", kind), named=True)
    assert identity.key.get_name() == name
    assert identity.key.asbytes() == _public(tmp_path / "key.pub")


def test_keys_without_a_comment_are_read_whatever_their_length(tmp_path):
    for number in range(12):
        identity = load_identity(make_key(tmp_path / f"key{number}", "ecdsa"), named=True)
        assert identity.problem is None
        assert identity.key.asbytes() == _public(tmp_path / f"key{number}.pub")


def _public(path):
    return base64.b64decode(path.read_text().split()[1])


def test_only_a_named_file_is_missed(tmp_path):
    assert load_identity(tmp_path / "absent", named=False) is None
    assert load_identity(tmp_path / "absent", named=True).problem == "no such file"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_locked_key_is_for_the_ssh_agent(tmp_path, kind):
    identity = load_identity(make_key(tmp_path / "key", kind, "secret words"), named=False)
    assert identity.key is None
    assert "ssh-add" in identity.problem


@pytest.mark.parametrize("content", [
    b"", b"no key", b"\xff\x00\xfe", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    b"-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n",
])
def test_rubbish_is_no_key(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    identity = load_identity(path, named=True)
    assert identity.key is None
    assert identity.problem.startswith("no usable private key")


def test_a_public_key_is_no_private_key(tmp_path):
    make_key(tmp_path / "key")
    assert load_identity(tmp_path / "key.pub", named=True).problem.startswith("no usable private key")


def test_a_folder_is_no_key(tmp_path):
    assert load_identity(tmp_path, named=True).problem == "Is a directory"
