"""What a person may ask of a device between blocks, carried out by the worker beside it; one entry per verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lab.devices.doctor import check_device
from lab.domain.device import Device, DeviceProfile
from lab.errors import ConfigError
from lab.store.codec import from_text, to_text

from .base import HostServices
from .beside_device import hold_device
from .block import open_session
from .calls import Json


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


def _accept_key(device: Device, _profile: DeviceProfile, settings: dict[str, Any], services: HostServices) -> Json:
    """Pin the host's key at the machine that will connect."""
    from lab.transports.ssh import accept_host_key, target_from_url

    target = target_from_url(device.url, known_hosts=services.home / "known_hosts", python=device.python)
    accept_host_key(target, str(settings["fingerprint"]))
    return {}


Action = Callable[[Device, DeviceProfile, dict[str, Any], HostServices], Json]
ACTIONS: dict[str, Action] = {"facts": _facts, "check": _check, "power": _power, "accept_key": _accept_key}
"""Verb → function."""
