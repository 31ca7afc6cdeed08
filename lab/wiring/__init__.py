"""The one place that builds concrete objects from names, URLs and settings."""

from __future__ import annotations

import getpass
import importlib
import os
import platform
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lab.campaigns.base import Listener, Progress, ProgressEvent, Services, ignore_events
from lab.campaigns.block import open_session
from lab.campaigns.host_lock import hold_host
from lab.campaigns.inline import InlineEngine
from lab.campaigns.prepare import note_facts
from lab.config.profile import load_profile
from lab.config.settings import lab_home
from lab.devices.bundle import build_bundle
from lab.devices.doctor import CheckLine
from lab.devices.doctor import check_device as check_session
from lab.domain.artifact import CompressedModel
from lab.domain.campaign import Campaign, Technique
from lab.domain.device import Device, DeviceFacts, DeviceProfile
from lab.domain.result import ResultRow
from lab.errors import ConfigError, LabError, NotFound
from lab.store.store import Store
from lab.transports import TRANSPORTS
from lab.transports.base import Transport
from lab.workloads.base import Workload

DEMO_DEVICES = (
    Device(name="local", url="local", profile="x86-host"),
    Device(name="virtual-pi4", url="virtual:virtual-pi4", profile="virtual-pi4"),
)
DEFAULT_PROFILES = {"local": "x86-host", "ssh": "linux-sbc"}
_CONTROLLER_WAIT_S = 24 * 3600.0


@contextmanager
def open_store(home: Path | None = None) -> Iterator[Store]:
    """The database under `home`, by default LAB_HOME."""
    with Store.open(home or lab_home()) as store:
        yield store


@contextmanager
def open_services(listener: Listener = ignore_events, home: Path | None = None) -> Iterator[Services]:
    """Everything a campaign needs, for the time of the `with`; `home` is LAB_HOME by default."""
    home = home or lab_home()
    with Store.open(home) as store:
        yield Services(
            home=home, store=store, listener=listener, owner=_owner(home), home_id=_home_id(home),
            bundle=lambda: build_bundle(home / "agent"),
            transport=lambda device, profile: build_transport(device, profile, home, store),
            profile=lambda name: load_profile(name, home / "profiles"),
            workload=lambda spec: _load_workload(spec, home, listener),
            compress=_compressor(home, store),
        )


def run_campaign(services: Services, campaign: Campaign, source_text: str) -> Progress:
    """Submit a campaign and see it through; finished cells are not measured again.

    One process at a time measures for one LAB_HOME: a second one waits, so the database has one writer and a lease
    belongs to whoever holds this lock.
    """
    def say_waiting() -> None:
        services.listener(ProgressEvent(stage="prepare", subject=campaign.name,
                                        text="waiting: another campaign is being measured for this LAB_HOME"))

    engine = InlineEngine(services)
    campaign_id = engine.submit(campaign, source_text)
    with hold_host(path=services.home / "controller.lock", wait_s=_CONTROLLER_WAIT_S, waiting=say_waiting):
        engine.resume(campaign_id)
    return engine.progress(campaign_id)


def ensure_demo_devices(store: Store) -> None:
    """Register this machine and a virtual board, unless the user already has devices of these names."""
    known = {device.name for device in store.devices()}
    for device in DEMO_DEVICES:
        if device.name not in known:
            store.save_device(device)


def add_device(services: Services, *, name: str, url: str, profile: str | None, python: str | None,
               accept_key: str | None) -> Device:
    """Check address and profile, connect once to learn what is there, and only then store the device."""
    parts = _split_url(url)
    device = Device(name=_checked_name(name), url=url, profile=profile or _default_profile(parts), python=python)
    found, _ = services.profile(device.profile)
    _check_fits(device, parts, found)
    if parts.scheme == "ssh" and accept_key:
        _pin_key(device, services.home, accept_key)
    with open_session(device, found, services) as session:
        facts = session.facts()
    already = next((known for known in services.store.devices() if known.name == device.name), None)
    services.store.save_device(device)
    try:
        note_facts(device.name, facts, services.store)
    except LabError:
        _put_back(services.store, device.name, already)
        raise
    return device


def check_device(services: Services, name: str) -> tuple[CheckLine, ...]:
    """Connect to a registered device and say what works."""
    device = services.store.device(name)
    profile, _ = services.profile(device.profile)
    with open_session(device, profile, services) as session:
        facts = session.facts()
        note_facts(name, facts, services.store)
        return check_session(session, profile=profile, facts=facts)


def latest_campaign(store: Store) -> str | None:
    """Id of the campaign submitted last, or None."""
    found = store.campaigns()
    return max(found, key=lambda campaign: campaign.created_utc).id if found else None


def find_cell(store: Store, text: str) -> ResultRow:
    """The row that `campaign/technique/device` or the beginning of a cell's id names; raises NotFound.

    Several seeds or settings answer to one path; then the text of the error lists their ids.
    """
    if text.count("/") == 2:
        campaign, technique, device = text.split("/")
        rows = [row for row in store.result_rows(campaign=store.campaign(campaign).id, device=device)
                if row.technique == technique]
    else:
        rows = [row for row in store.result_rows() if text and row.result and row.result.cell_id.startswith(text)]
    found = {row.result.cell_id if row.result else f"{row.technique} {row.seed} {row.settings}": row for row in rows}
    if not found:
        raise NotFound(f"No cell {text!r}. Expected campaign/technique/device or the beginning of a cell's id; "
                       "`lab results --json` lists them.")
    if len(found) > 1:
        listed = "; ".join(f"{key[:12]} ({row.technique} on {row.device}, seed {row.seed}, {row.settings})"
                           for key, row in list(found.items())[:8])
        raise NotFound(f"{len(found)} cells answer to {text!r}: {listed}. Name one by the beginning of its id.")
    return next(iter(found.values()))


def build_transport(device: Device, profile: DeviceProfile, home: Path, store: Store) -> Transport:
    """The transport a device's URL names."""
    parts = _split_url(device.url)
    agent_home = home / "agents" / device.name
    python = device.python or sys.executable
    if parts.scheme == "local":
        return _made(_resolve(TRANSPORTS["local"])(python=python, home=agent_home))
    if parts.scheme == "virtual":
        return _made(_resolve(TRANSPORTS["virtual"])(profile=profile, python=python, home=agent_home))
    known = store.facts(device.name)
    return _made(_resolve(TRANSPORTS["ssh"])(_ssh_target(device, home, has_aes=bool(known and known[0].has_aes))))


def _made(transport: Any) -> Transport:
    checked: Transport = transport
    return checked


def _ssh_target(device: Device, home: Path, *, has_aes: bool = False) -> Any:
    """AES-GCM is fast only where the device has AES instructions, which is known after the first connection."""
    from lab.transports.ssh import target_from_url

    return target_from_url(device.url, known_hosts=home / "known_hosts", python=device.python, prefer_gcm=has_aes)


def _pin_key(device: Device, home: Path, fingerprint: str) -> None:
    from lab.transports.ssh import accept_host_key

    accept_host_key(_ssh_target(device, home), fingerprint)


def _split_url(url: str) -> SplitResult:
    parts = urlsplit(url if ":" in url else f"{url}:")
    if parts.scheme not in TRANSPORTS or parts.scheme == "scripted":
        raise ConfigError(f"Device address {url!r}: expected `local`, `virtual:PROFILE` or "
                          "`ssh://[user@]host[:port]`.")
    if parts.password:
        raise ConfigError(f"Device address of {parts.hostname} holds a password. Passwords are never stored: "
                          "use a key or ssh-agent, and leave the password out.")
    return parts


def _check_fits(device: Device, parts: SplitResult, profile: DeviceProfile) -> None:
    """A simulated board's figures must never carry a real machine's name, nor the other way round."""
    if (parts.scheme == "virtual") != (profile.transport == "virtual") or (
            parts.scheme == "virtual" and parts.path != device.profile):
        raise ConfigError(f"Device {device.name}: address {device.url!r} and profile {device.profile!r} do not fit. "
                          "A virtual board is added as `lab devices add NAME virtual:PROFILE`; a real one needs a "
                          "profile that is not virtual.")


def _put_back(store: Store, name: str, already: Device | None) -> None:
    if already:
        store.save_device(already)
    else:
        store.remove_device(name)


def _default_profile(parts: SplitResult) -> str:
    return parts.path if parts.scheme == "virtual" else DEFAULT_PROFILES[parts.scheme]


def _checked_name(name: str) -> str:
    if not name or len(name) > 64 or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise ConfigError(f"Device name {name!r}: expected letters, digits, '-', '_' or '.', at most 64.")
    return name


def _resolve(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _load_workload(spec: str, home: Path, listener: Listener) -> Workload:
    from lab.workloads.loader import load_workload

    def show(text: str, fraction: float) -> None:
        listener(ProgressEvent(stage="prepare", subject=spec, text=text, fraction=fraction))

    with hold_host(waiting=lambda: show("waiting: this machine is measuring", 0.0)):
        return load_workload(spec, home, show)


def _compressor(home: Path, store: Store) -> Callable[..., CompressedModel]:
    def compress_for(workload: Workload, technique: Technique, seed: int, facts: DeviceFacts,
                     profile: DeviceProfile, progress: Callable[[str, float], None]) -> CompressedModel:
        from compressors.base import DOT_PRODUCT_ISA, HardwareFacts
        from lab.compression.pipeline import compress

        hardware = HardwareFacts(isa=tuple(sorted(set(DOT_PRODUCT_ISA) & set(facts.isa))),
                                 opset_max=profile.limits.opset_max, ir_max=profile.limits.ir_max)
        return compress(workload, technique, seed, artifacts=store.artifacts, cache_dir=home / "cache",
                        hardware=hardware, progress=progress)

    return compress_for


def _owner(home: Path) -> str:
    """Who holds a lease: the person, their machine, and which LAB_HOME there."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = str(os.getuid())
    return f"{login}@{platform.node()}:{_home_id(home)}"


def _home_id(home: Path) -> str:
    """This LAB_HOME's own name, drawn once; a home made anew is another one."""
    path = home / "home-id"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(6))
    return path.read_text(encoding="ascii")
