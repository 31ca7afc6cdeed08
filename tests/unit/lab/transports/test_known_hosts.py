"""Pins and the user's known_hosts: what counts, what is ignored with a note, and that nothing is rewritten."""

import base64
import hashlib
import hmac
import shutil
import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import StoreError
from lab.transports.known_hosts import HostKey, host_label, known_keys, pin, pin_label
from tests.conftest import need


def key_of(kind="ssh-ed25519", seed=b"1"):
    name = kind.encode()
    return HostKey.from_blob(kind, len(name).to_bytes(4, "big") + name + hashlib.sha256(seed).digest())


KEY, OTHER, RSA = key_of(), key_of(seed=b"2"), key_of("ssh-rsa")


def line(hosts, key=KEY, marker=""):
    return f"{marker}{hosts} {key.type} {key.base64} a comment\n"


def known_in(tmp_path, text, label="pi.lab"):
    path = tmp_path / "known_hosts"
    path.write_text(text)
    return known_keys(tmp_path / "no pins", path, label)


def hashed(host):
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, host.encode(), "sha1").digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def test_the_fingerprint_is_openssh_s(tmp_path):
    need("ssh-keygen", shutil.which("ssh-keygen"))
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True, text=True).stdout
    kind, blob = (tmp_path / "key.pub").read_text().split()[:2]
    assert shown.split()[1] == HostKey.from_blob(kind, base64.b64decode(blob)).fingerprint


@pytest.mark.parametrize("hosts", [
    "pi.lab", "other,pi.lab", "PI.Lab", "*.lab", "pi.???", "*,!other.lab", hashed("pi.lab"),
])
def test_names_that_mean_this_host(tmp_path, hosts):
    assert known_in(tmp_path, line(hosts)).accepts(KEY)


@pytest.mark.parametrize("hosts", [
    "pi", "pi.lab.org", "*,!pi.lab", "!pi.lab,*", "[pi.lab]:2222", hashed("other.lab"), "|1|bad", "|1|a|b|c", "|1|é|b",
])
def test_names_that_do_not(tmp_path, hosts):
    assert known_in(tmp_path, line(hosts)).keys == ()


def test_a_port_is_part_of_the_name(tmp_path):
    text = line("[pi.lab]:2222") + line(hashed("[pi.lab]:2200"), OTHER)
    assert known_in(tmp_path, text, host_label("pi.lab", 2222)).accepts(KEY)
    assert known_in(tmp_path, text, host_label("pi.lab", 2200)).accepts(OTHER)
    assert known_in(tmp_path, text, host_label("pi.lab", 22)).keys == ()


def test_lines_that_cannot_be_used_leave_notes_and_the_others_count(tmp_path):
    text = (
        "# a comment\n\n" + line("pi.lab", marker="@cert-authority ") + "pi.lab ssh-ed25519 not-base64!\n"
        + "pi.lab ssh-rsa " + KEY.base64 + "\nonly two\n" + line("pi.lab")
    )
    known = known_in(tmp_path, text)
    assert [entry.line for entry in known.keys] == [7]
    path = tmp_path / "known_hosts"
    assert known.notes == (
        f"{path} line 3: @cert-authority is not supported", f"{path} line 4 holds no ssh-ed25519 key",
        f"{path} line 5 holds no ssh-rsa key", f"{path} line 6 is not a host key",
    )


def test_a_revoked_key_is_never_accepted(tmp_path):
    known = known_in(tmp_path, line("pi.lab") + line("pi.lab", marker="@revoked ") + line("pi.lab", RSA))
    assert not known.accepts(KEY)
    assert known.revokes(KEY)
    assert known.accepts(RSA)
    assert known.types == ("ssh-ed25519", "ssh-rsa")


def test_several_keys_of_a_type_in_the_users_file_all_count(tmp_path):
    known = known_in(tmp_path, line("pi.lab") + line("pi.lab", OTHER))
    assert known.accepts(KEY)
    assert known.accepts(OTHER)


def test_missing_files_know_nothing(tmp_path):
    known = known_keys(tmp_path / "a", tmp_path / "b", "pi.lab")
    assert (known.keys, known.notes, known.types) == ((), (), ())


def test_an_unreadable_file_is_noted(tmp_path):
    [note] = known_keys(tmp_path / "a", tmp_path, "pi.lab").notes
    assert note == f"{tmp_path} could not be read: Is a directory"


def test_binary_rubbish_is_no_error(tmp_path):
    path = tmp_path / "known_hosts"
    path.write_bytes(b"\xff\xfe\x00 \x80 rubbish line\n" + line("pi.lab").encode())
    assert known_keys(tmp_path / "a", path, "pi.lab").accepts(KEY)


def test_pins_are_private_appended_and_not_repeated(tmp_path):
    path = tmp_path / "lab" / "known_hosts"
    pin(path, "pi.lab", 22, KEY)
    pin(path, "pi.lab", 22, KEY)
    pin(path, "pi.lab", 2222, OTHER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().splitlines() == [
        f"pi.lab ssh-ed25519 {KEY.base64}", f"[pi.lab]:2222 ssh-ed25519 {OTHER.base64}"]


def test_the_latest_pin_of_a_type_counts(tmp_path):
    path = tmp_path / "known_hosts"
    for key in (KEY, RSA, OTHER):
        pin(path, "pi.lab", 22, key)
    known = known_keys(path, None, "pi.lab")
    assert known.accepts(OTHER)
    assert known.accepts(RSA)
    assert not known.accepts(KEY)
    pin(path, "pi.lab", 22, KEY)
    assert known_keys(path, None, "pi.lab").accepts(KEY)


def test_a_pin_adds_to_a_file_a_user_has_edited(tmp_path):
    path = tmp_path / "known_hosts"
    path.write_text("# mine\nsk-lines ssh-dss AAAA keep me\n")
    pin(path, "pi.lab", 22, KEY)
    assert path.read_text() == f"# mine\nsk-lines ssh-dss AAAA keep me\npi.lab ssh-ed25519 {KEY.base64}\n"


@pytest.mark.parametrize("host", ["", "a b", "a,b", "*", "a\nb", "@revoked", "|1|x", "#x", "!x"])
def test_a_name_that_would_mean_something_else_is_refused(tmp_path, host):
    with pytest.raises(StoreError, match="cannot be a host name"):
        pin_label(tmp_path / "known_hosts", host, KEY)


def test_a_pin_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        pin(tmp_path / "file" / "known_hosts", "pi", 22, KEY)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be written"):
        pin(tmp_path / "link", "pi", 22, KEY)


@given(st.text(max_size=400))
def test_any_text_is_read_without_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "known_hosts"
    path.write_text(text, encoding="utf-8", errors="replace")
    known = known_keys(path, path, "pi.lab")
    assert all(not known.accepts(KEY) for _ in known.keys)


@given(st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True), st.integers(1, 65535))
def test_what_is_pinned_is_found_under_that_name_only(tmp_path_factory, host, port):
    path = tmp_path_factory.mktemp("pins") / "known_hosts"
    pin(path, host, port, KEY)
    assert known_keys(path, None, host_label(host, port)).accepts(KEY)
    assert known_keys(path, None, host_label(host, port + 1)).keys == ()
    assert known_keys(path, None, host_label(host + "x", port)).keys == ()
