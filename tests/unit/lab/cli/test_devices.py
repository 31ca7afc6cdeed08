"""`lab devices` where a person acts on a device: what is refused, what is told, what stands in the audit."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lab.cli.main import lab as command
from lab.cli.show import print_host_key
from lab.domain.device import Device
from lab.store.store import Store
from tests.support.campaigns import real_services
from tests.support.sshd import free_port


@pytest.fixture
def lab(lab_home, monkeypatch):
    """Runs one command in this home, with a local device registered."""
    monkeypatch.setenv("LAB_HOME", str(lab_home))
    monkeypatch.delenv("LAB_ENGINE_URL", raising=False)
    with real_services(lab_home):
        pass
    return lambda *words: CliRunner().invoke(command, list(words))


def save(home, **changes):
    with Store.open(home) as store:
        store.save_device(Device(**{"name": "pi", "url": f"ssh://127.0.0.1:{free_port()}", "profile": "linux-sbc",
                                    **changes}))


def log(lab, name):
    return [(line["event"], line["detail"]) for line in json.loads(lab("devices", "log", name, "--json").output)]


@pytest.mark.parametrize(("url", "reboot", "hint"), [
    ("local", "reboot", "expected a device at an ssh:// address, got `local:`"),
    ("virtual:virtual-pi4", "reboot", "a virtual board is no machine"),
    ("ssh://pi@nowhere.invalid", " ", "expected one line"), ("ssh://pi@nowhere.invalid", "a\nb", "expected one line"),
    ("ssh://pi@nowhere.invalid", "x" * 501, "at most 500 characters"),
])
def test_a_reboot_that_cannot_be_is_refused_when_the_device_is_added(lab, url, reboot, hint):
    """Not in the night in which it is needed."""
    refused = lab("devices", "add", "new", url, "--reboot", reboot)
    assert refused.exception.exit_code == 2
    assert hint in str(refused.exception)
    assert "new" not in lab("devices", "list").output


@pytest.mark.parametrize("words", [("reboot", "local"), ("fingerprint", "local")])
def test_what_a_device_cannot_do_is_said_and_not_noted(lab, words):
    assert lab("devices", *words).exception.exit_code == 2
    assert log(lab, "local") == []


def test_what_is_known_of_a_device_says_how_it_is_switched_and_rebooted(lab, lab_home):
    save(lab_home, power=(("kind", "shelly"), ("url", "http://plug")), reboot="sudo -n systemctl reboot")
    shown = lab("devices", "show", "pi").output
    assert [part in shown for part in ("kind=shelly url=http://plug", "sudo -n systemctl reboot")] == [True] * 2
    assert "nothing" in lab("devices", "show", "local").output


def test_power_switched_by_a_person_stands_in_the_audit(lab, lab_home):
    save(lab_home, power=(("kind", "command"), ("on", "true"), ("off", "true"), ("state", "echo on")))
    assert lab("devices", "power", "pi", "on").output == "pi: power is on.\n"
    assert log(lab, "pi") == [("switched", "power on by a person")]
    assert lab("devices", "power", "pi", "off").exit_code != 0  # the switch says that it is still on
    assert log(lab, "pi") == [("switched", "power on by a person")]


def test_a_device_that_cannot_be_asked_is_released_all_the_same(lab, lab_home):
    """Its lease is another matter; that is said."""
    save(lab_home)
    with Store.open(lab_home) as store:
        store.reserve("pi", "eve", "soldering", None)
    done = lab("devices", "release", "pi", "--kick")
    assert done.exit_code == 0
    assert done.output.startswith("pi is free. The device itself could not be asked to end another lab's lease: ")
    assert "connection refused" in done.output
    assert log(lab, "pi")[0] == ("kicked", "eve")
    with Store.open(lab_home) as store:
        assert store.reservation("pi") is None


def test_releasing_without_a_kick_does_not_touch_the_device(lab, lab_home):
    save(lab_home)
    assert lab("devices", "release", "pi").output == "pi is free.\n"


@pytest.mark.parametrize(("kind", "file"), [("ssh-ed25519", "ed25519"), ("ssh-rsa", "rsa"),
                                            ("ecdsa-sha2-nistp256", "ecdsa")])
@pytest.mark.parametrize(("standing", "words"), [
    ("known", "is known there"), ("unknown", "No key of this device"), ("changed", "ANOTHER key"),
    ("revoked", "do not connect")])
def test_a_host_key_is_shown_with_what_to_do_about_it(capsys, kind, file, standing, words):
    """Only a key that might be accepted is shown with the command that does."""
    device = Device(name="pi", url="ssh://pi", profile="linux-sbc", agent_host="site-b")
    print_host_key(device, {"type": kind, "fingerprint": "SHA256:abc", "standing": standing})
    said = capsys.readouterr().out
    assert said.startswith(f"pi presents {kind} SHA256:abc to site-b. ")
    assert words in said
    assert (f"ssh_host_{file}_key.pub" in said) == (standing in {"unknown", "changed"})
    assert ("--accept-key SHA256:abc" in said) == (standing in {"unknown", "changed"})
