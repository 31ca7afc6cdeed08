"""Where a device is: addresses as typed, and what ~/.ssh/config adds or forbids."""

import getpass
from pathlib import Path

import pytest

from lab.errors import ConfigError
from lab.transports.ssh_target import SshTarget, resolve, target_from_url

PINS = Path("pins")


def target(tmp_path, config, host="pi", **changes):
    path = tmp_path / "config"
    path.write_text(config)
    return SshTarget(host, known_hosts=PINS, config_file=path, **changes)


@pytest.mark.parametrize(("url", "host", "user", "port"), [
    ("ssh://pi", "pi", None, None),
    ("ssh://me@pi.lab:2222/", "pi.lab", "me", 2222),
    ("ssh://root@[fe80::1]:22", "fe80::1", "root", 22),
])
def test_addresses(url, host, user, port):
    parsed = target_from_url(url, known_hosts=PINS, python="~/py", prefer_gcm=True)
    assert (parsed.host, parsed.user, parsed.port, parsed.python, parsed.prefer_gcm) == (host, user, port, "~/py", True)
    assert parsed.url == url.rstrip("/")


@pytest.mark.parametrize("url", [
    "pi", "http://pi", "ssh://", "ssh://me:secret@pi", "ssh://pi/home", "ssh://pi?x=1", "ssh://pi:port", "ssh://pi:99999",
    "ssh://-oProxyCommand=x",
])
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError, match=r"expected ssh://\[user@\]host"):
        target_from_url(url, known_hosts=PINS)


def test_without_a_configuration_the_defaults_hold(tmp_path):
    for config_file in (None, tmp_path / "absent"):
        resolved = resolve(SshTarget("pi", known_hosts=PINS, config_file=config_file))
        assert (resolved.host, resolved.port, resolved.user) == ("pi", 22, getpass.getuser())
        assert (resolved.key_label, resolved.where, resolved.notes) == ("pi", f"{getpass.getuser()}@pi", ())


def test_the_configuration_fills_in_what_the_target_leaves_open(tmp_path):
    config = (
        "Host pi\n HostName 10.0.0.7\n Port 2200\n User bob\n IdentityFile /keys/a\n IdentityFile /keys/b\n"
        " IdentitiesOnly yes\nHost *\n User nobody\n"
    )
    resolved = resolve(target(tmp_path, config, identity_files=(Path("/keys/mine"),)))
    assert (resolved.host, resolved.port, resolved.user) == ("10.0.0.7", 2200, "bob")
    assert resolved.identity_files == (Path("/keys/mine"), Path("/keys/a"), Path("/keys/b"))
    assert resolved.identities_only
    assert resolved.key_label == "[10.0.0.7]:2200"
    assert resolved.where == "bob@10.0.0.7:2200"


def test_what_the_target_says_wins(tmp_path):
    resolved = resolve(target(tmp_path, "Host pi\n Port 2200\n User bob\n", user="eve", port=22))
    assert (resolved.port, resolved.user) == (22, "eve")


def test_a_host_key_alias_is_the_name_of_the_key(tmp_path):
    assert resolve(target(tmp_path, "Host pi\n Port 2200\n HostKeyAlias board-3\n")).key_label == "board-3"


@pytest.mark.parametrize("line", ["ProxyJump gate", "ProxyCommand nc gate 22"])
def test_a_way_through_another_host_is_refused_not_ignored(tmp_path, line):
    with pytest.raises(ConfigError, match=rf"{line.split()[0]} .* not supported yet; give an address"):
        resolve(target(tmp_path, f"Host pi\n {line}\n"))


@pytest.mark.parametrize("line", ["ProxyJump none", "ProxyCommand none"])
def test_no_proxy_is_no_proxy(tmp_path, line):
    assert resolve(target(tmp_path, f"Host pi\n {line}\n")).host == "pi"


def test_another_hosts_proxy_does_not_matter(tmp_path):
    assert resolve(target(tmp_path, "Host far\n ProxyJump gate\n")).host == "pi"


@pytest.mark.parametrize("config", ["Host pi\n Port many\n", "Host pi\n Port 70000\n"])
def test_a_port_that_is_none(tmp_path, config):
    with pytest.raises(ConfigError, match="is not a port number"):
        resolve(target(tmp_path, config))


def test_a_configuration_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"config could not be read: Unparsable line"):
        resolve(target(tmp_path, "nonsense\n"))
    with pytest.raises(ConfigError, match=r"could not be read: .*directory"):
        resolve(SshTarget("pi", known_hosts=PINS, config_file=tmp_path))


def test_an_include_is_noted(tmp_path):
    [note] = resolve(target(tmp_path, "Include other/*\nHost pi\n Port 2200\n")).notes
    assert note.endswith("uses Include, which is not followed")
