"""What a person may ask of a device between blocks, carried out by the worker beside it; one entry per verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lab.devices.doctor import check_device
from lab.domain.device import Device, DeviceProfile
from lab.errors import ConfigError, DeviceBusy, DeviceError, LabError
from lab.store.codec import from_text, to_text
from lab.transports.base import RunsCommands

from .base import HostServices
from .beside_device import hold_device
from .block import host_spool, open_session
from .calls import Json

REBOOT_COMMAND_S = 30.0
"""Longest time for the command that reboots a device."""

GONE_WITHIN_S = 30.0
"""How long the device's turn lasts after that, so that nothing is begun on a device that is about to go down."""

_LEASE_S = 120.0


def act(verb: str, args: list[Json], services: HostServices) -> Json:
    """Do it and answer in JSON: args are device and profile as JSON text, and the verb's own parameters.

    Raises ConfigError for an unknown verb, LabError for what goes wrong.
    """
    if verb not in ACTIONS:
        raise ConfigError(f"device action {verb!r}: expected one of {', '.join(ACTIONS)}.")
    device: Device = from_text(Device, args[0])
    profile: DeviceProfile = from_text(DeviceProfile, args[1])
    with hold_device(device.name, services):
        return ACTIONS[verb](device, profile, dict(args[2]) if len(args) > 2 else {}, services)


def _facts(device: Device, profile: DeviceProfile, _settings: dict[str, Any], services: HostServices) -> Json:
    with open_session(device, profile, services) as session:
        return to_text(session.facts())


def _check(device: Device, profile: DeviceProfile, _settings: dict[str, Any], services: HostServices) -> Json:
    with open_session(device, profile, services) as session:
        facts = session.facts()
        lines = check_device(session, profile=profile, facts=facts)
    return {"facts": to_text(facts), "lines": [asdict(line) for line in lines]}


def _power(device: Device, _profile: DeviceProfile, settings: dict[str, Any], _services: HostServices) -> Json:
    from lab.devices.power import build_switch

    switch = build_switch(device.power)
    if settings["do"] == "cycle":
        switch.cycle(float(settings.get("off_s", 5.0)))
    elif settings["do"] == "on":
        switch.on()
    elif settings["do"] == "off":
        switch.off()
    return {"is_on": switch.state()}


def _reboot(device: Device, profile: DeviceProfile, settings: dict[str, Any], services: HostServices) -> Json:
    """The device's own command, on the device: `{"status": exit status or None, "is_gone": …}`; see RunsCommands."""
    if not device.reboot:
        raise ConfigError(f"Nobody said how {device.name} is rebooted. Add it again with `lab devices add "
                          f"{device.name} {device.url} --reboot COMMAND`, with the options that it has.")
    transport = services.transport(device, profile)
    if not isinstance(transport, RunsCommands):
        raise ConfigError(f"{device.name} ({device.url}) cannot be rebooted from here: only a device at an ssh:// "
                          "address can; `local` is the machine that works on the queue, `virtual` is no machine.")
    _lease_if_possible(device, profile, services)
    end = transport.run_command(device.reboot, REBOOT_COMMAND_S,
                                gone_within_s=float(settings.get("gone_within_s", GONE_WITHIN_S)))
    if end.status not in {0, None}:
        raise DeviceError(f"{device.name} was not rebooted: {device.reboot!r} on it: expected exit status 0 or the end "
                          f"of the link, got {end.status} and {end.printed!r}. Try the command there by hand.")
    return {"status": end.status, "is_gone": end.is_gone}


def _lease_if_possible(device: Device, profile: DeviceProfile, services: HostServices) -> None:
    """Raises DeviceBusy while another lab measures there; a device that cannot say so is why one reboots it."""
    try:
        with open_session(device, profile, services) as session:
            session.acquire_lease(services.owner, _LEASE_S)  # ends with the reboot
    except DeviceBusy:
        raise
    except LabError:
        return


def _kick(device: Device, profile: DeviceProfile, _settings: dict[str, Any], services: HostServices) -> Json:
    """Another lab's lease on the device ends, and the block under it: `{"holder", "fence", "block_id"}`, None if none.

    A block of our own that waits to be collected goes on.
    """
    with open_session(device, profile, services) as session:
        found = session.kick_lease(services.owner, _LEASE_S)
        is_ours = found.block_id in {order.plan.block_id for order in host_spool(services).promised(device.name)}
        if found.block_id is not None and not is_ours:
            session.cancel_block(found.block_id, found.fence)
        if not is_ours:
            session.release_lease(found.fence)
    return {"holder": found.holder, "fence": found.fence, "block_id": None if is_ours else found.block_id}


def _fingerprint(device: Device, _profile: DeviceProfile, _settings: dict[str, Any], services: HostServices) -> Json:
    """The host key as this machine sees it: `{"type", "fingerprint", "standing"}`; see SeenKey."""
    if not device.url.startswith("ssh:"):
        raise ConfigError(f"{device.name} ({device.url}) has no host key: only a device at an ssh:// address has one.")
    from lab.transports.ssh import see_host_key, target_from_url

    seen = see_host_key(target_from_url(device.url, known_hosts=services.home / "known_hosts"))
    return {"type": seen.key.type, "fingerprint": seen.key.fingerprint, "standing": seen.standing}


def _accept_key(device: Device, _profile: DeviceProfile, settings: dict[str, Any], services: HostServices) -> Json:
    """Pin the host's key at the machine that will connect."""
    from lab.transports.ssh import accept_host_key, target_from_url

    target = target_from_url(device.url, known_hosts=services.home / "known_hosts", python=device.python)
    accept_host_key(target, str(settings["fingerprint"]))
    return {}


Action = Callable[[Device, DeviceProfile, dict[str, Any], HostServices], Json]
ACTIONS: dict[str, Action] = {
    "facts": _facts, "check": _check, "power": _power, "reboot": _reboot, "kick": _kick, "fingerprint": _fingerprint,
    "accept_key": _accept_key,
}
"""Verb → function."""
