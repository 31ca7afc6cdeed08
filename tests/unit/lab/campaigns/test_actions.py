"""What a person asks of a device, beside it: other labs are respected, and a no comes with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.campaigns.actions import ACTIONS, act
from lab.campaigns.base import HostServices
from lab.campaigns.block import host_spool
from lab.domain.block import BlockOrder, BlockPlan, WindowPlan
from lab.domain.device import Device
from lab.errors import ConfigError, ConnectFailed, DeviceBusy, DeviceError
from lab.store.codec import to_text
from lab.transports.base import CommandEnd
from lab.transports.scripted import ScriptedTransport
from tests.support import samples
from tests.support.scripted_agent import ScriptedAgent, bundle, result

BOARD = Device(name="board", url="ssh://pi@board", profile="test-board", reboot="sudo -n systemctl reboot")
REBOOTS = CommandEnd(status=0, printed="", is_gone=True)


class Rebooting(ScriptedTransport):
    """A device whose shell is a list of what it was told."""

    def __init__(self, agent, end=REBOOTS):
        super().__init__(agent)
        self.told, self._end = [], end

    def run_command(self, command, timeout_s, *, gone_within_s=0.0):
        assert timeout_s > 0
        assert gone_within_s > 0
        self.told.append(command)
        return self._end


class Unreachable(Rebooting):
    """No agent can be started there, but a command can."""

    def open(self, bundle):
        raise ConnectFailed(f"no Python for {bundle.sha256[:4]}")


@pytest.fixture
def agent():
    return ScriptedAgent()


def services(home, transport):
    return HostServices(home=home, bundle=bundle, transport=lambda *_: transport, artifact=lambda _hash: home,
                        owner="ada", pause=lambda _seconds: None)


def ask(verb, home, transport, device=BOARD, settings=None):
    return act(verb, [to_text(device), to_text(samples.profile()), settings or {}], services(home, transport))


def test_every_verb_is_known_and_no_other(lab_home, agent):
    assert set(ACTIONS) == {"facts", "check", "power", "reboot", "kick", "fingerprint", "accept_key"}
    with pytest.raises(ConfigError, match="expected one of facts, check"):
        ask("dance", lab_home, agent.transport())


class TestReboot:
    def test_the_devices_own_command_is_carried_out_on_it_under_a_lease(self, lab_home, agent):
        """The lease keeps others from beginning in between; the reboot ends it."""
        transport = Rebooting(agent)
        assert ask("reboot", lab_home, transport) == {"status": 0, "is_gone": True}
        assert transport.told == ["sudo -n systemctl reboot"]
        assert agent.holder == "ada"

    @pytest.mark.parametrize("is_gone", [True, False])
    def test_a_link_that_ended_is_what_was_wanted(self, lab_home, agent, is_gone):
        transport = Rebooting(agent, CommandEnd(status=None, printed="", is_gone=is_gone))
        assert ask("reboot", lab_home, transport) == {"status": None, "is_gone": is_gone}

    def test_another_labs_measurement_is_not_cut_off(self, lab_home, agent):
        agent.holder = "eve"
        transport = Rebooting(agent)
        with pytest.raises(DeviceBusy, match="in use by eve"):
            ask("reboot", lab_home, transport)
        assert transport.told == []

    def test_a_device_on_which_no_agent_starts_is_rebooted_all_the_same(self, lab_home, agent):
        """That is why one does it."""
        transport = Unreachable(agent)
        assert ask("reboot", lab_home, transport)["is_gone"]
        assert transport.told == ["sudo -n systemctl reboot"]

    def test_a_command_that_fails_says_what_it_said(self, lab_home, agent):
        end = CommandEnd(status=1, printed="sudo: a password is required", is_gone=False)
        with pytest.raises(DeviceError, match=r"expected exit status 0.*got 1 and 'sudo: a password is required'"):
            ask("reboot", lab_home, Rebooting(agent, end))

    def test_a_device_without_a_command_says_how_to_give_it_one(self, lab_home, agent):
        transport = Rebooting(agent)
        with pytest.raises(ConfigError, match="lab devices add board ssh://pi@board --reboot COMMAND"):
            ask("reboot", lab_home, transport, replace(BOARD, reboot=None))
        assert agent.ops() == transport.told == []

    def test_what_cannot_be_rebooted_is_told_so(self, lab_home, agent):
        """Registered by hand, since `lab devices add` refuses it."""
        with pytest.raises(ConfigError, match=r"board \(local\) cannot be rebooted from here"):
            ask("reboot", lab_home, agent.transport(), replace(BOARD, url="local"))
        assert agent.ops() == []


class TestKick:
    def test_another_labs_lease_and_block_end(self, lab_home, agent):
        """And the device is free afterwards."""
        agent.holder = "eve"
        agent.answers["lease.kick"] = kicked(agent, holder="eve", block_id="b-eve")
        assert ask("kick", lab_home, agent.transport()) == {"holder": "eve", "fence": 1, "block_id": "b-eve"}
        assert agent.ops() == ["lease.kick", "block.cancel", "lease.release"]
        assert agent.holder is None

    def test_a_free_device_stays_free(self, lab_home, agent):
        assert ask("kick", lab_home, agent.transport()) == {"holder": None, "fence": 1, "block_id": None}
        assert (agent.ops(), agent.holder) == (["lease.kick", "lease.release"], None)

    def test_a_block_of_our_own_goes_on_under_its_lease(self, lab_home, agent):
        """It was begun by a worker that died, and waits to be collected."""
        host_spool(services(lab_home, None)).promise(order("b-ada"))
        agent.answers["lease.kick"] = kicked(agent, holder=None, block_id="b-ada")
        assert ask("kick", lab_home, agent.transport())["block_id"] is None
        assert agent.ops() == ["lease.kick"]
        assert agent.holder == "ada"


def kicked(agent, **answer):
    def reply(message):
        agent.fence += 1
        agent.holder = message.header["owner"]
        return result(message, fence=agent.fence, **answer)

    return reply


def order(block_id):
    window = WindowPlan(cell_id=samples.cell().id, artifact_sha256="a" * 64, inputs_sha256=None, runtime="no_op",
                        threads=1, batch=1, warmup_ns=0, length_ns=10**9, inferences_min=1)
    plan = BlockPlan(block_id=block_id, number=1, attempt=1, windows=(window,), idle_ns=10**9, probes=(),
                     sample_rate_hz=10.0, window_deadline_ns=10**10)
    return BlockOrder(campaign_id="camp", target=samples.DEVICE, profile=samples.profile(), plan=plan)


@pytest.mark.parametrize("url", ["local", "virtual:virtual-pi4"])
def test_only_ssh_has_a_fingerprint(lab_home, agent, url):
    with pytest.raises(ConfigError, match="has no host key: only a device at an ssh:// address"):
        ask("fingerprint", lab_home, agent.transport(), replace(BOARD, url=url))
