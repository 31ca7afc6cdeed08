"""The one place that builds concrete objects from names, URLs and settings."""

from __future__ import annotations

import getpass
import importlib
import os
import platform
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from lab.campaigns.base import Listener, ProgressEvent, Services, ignore_events
from lab.campaigns.host_lock import hold_host
from lab.campaigns.prepare import note_facts
from lab.config.profile import load_profile
from lab.config.settings import lab_home
from lab.devices.bundle import build_bundle
from lab.devices.doctor import CheckLine
from lab.devices.power import check_settings
from lab.domain.artifact import CompressedModel
from lab.domain.campaign import Technique
from lab.domain.device import Device, DeviceFacts, DeviceProfile
from lab.domain.result import ResultRow
from lab.errors import ConfigError, LabError, NotFound
from lab.store.artifacts import ArtifactStore
from lab.store.codec import from_text
from lab.store.store import Store
from lab.transports import TRANSPORTS
from lab.transports.base import Transport
from lab.workloads.base import Workload

if TYPE_CHECKING:
    from lab.store.shared import SharedFiles

DEMO_DEVICES = (
    Device(name="local", url="local", profile="x86-host"),
    Device(name="virtual-pi4", url="virtual:virtual-pi4", profile="virtual-pi4"),
)
_REBOOT_MAX = 500
DEFAULT_PROFILES = {"local": "x86-host", "ssh": "linux-sbc"}


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
            home=home, store=store, listener=listener, owner=owner_of(home), home_id=home_id_of(home),
            bundle=lambda: build_bundle(home / "agent"),
            transport=lambda device, profile: build_transport(device, profile, home, store),
            profile=lambda name: load_profile(name, home / "profiles"),
            workload=lambda spec: load_workload_for(spec, home, listener),
            compress=compressor(home, store.artifacts), shared=shared_files(), notify=notifier(store),
        )


def shared_files() -> SharedFiles | None:
    """Files that workers on other machines reach too, where LAB_SHARED_URL names a place."""
    if not os.environ.get("LAB_SHARED_URL"):
        return None
    from lab.store.shared import shared_from_env

    return shared_from_env(os.environ)


def notifier(store: Store) -> Callable[[str, str, str | None], None]:
    """Tells whoever LAB_NOTIFY_COMMAND or LAB_NOTIFY_URL names; what goes wrong there is noted with the campaign."""
    def tell(campaign_id: str, what: str, why: str | None) -> None:
        if not {"LAB_NOTIFY_COMMAND", "LAB_NOTIFY_URL"} & set(os.environ):
            return
        from lab.campaigns.notify import notify, settings_from_env

        settings = settings_from_env(os.environ)
        if settings is None:
            return
        name = store.campaign(campaign_id).name
        failed = notify(settings, {"campaign": name, "campaign_id": campaign_id, "event": what, "reason": why})
        if failed:
            store.record_failure(campaign_id, None, None, "notify", "notify", failed)

    return tell


def ensure_demo_devices(store: Store) -> None:
    """Register this machine and a virtual board, unless the user already has devices of these names."""
    known = {device.name for device in store.devices()}
    for device in DEMO_DEVICES:
        if device.name not in known:
            store.save_device(device)


def add_device(services: Services, *, name: str, url: str, profile: str | None, python: str | None,
               accept_key: str | None, agent_host: str = "controller", pools: tuple[str, ...] = (),
               power: tuple[tuple[str, str], ...] = (), reboot: str | None = None) -> Device:
    """Check address and profile, connect once to learn what is there, and only then store the device.

    A device of another agent host is asked by the worker there.
    """
    parts = _split_url(url)
    for word in (agent_host, *pools):
        _checked_name(word)
    if power:
        check_settings(power)
    _check_reboot(reboot, parts)
    device = Device(name=_checked_name(name), url=url, profile=profile or _default_profile(parts), python=python,
                    agent_host=agent_host, pools=pools, power=power, reboot=reboot)
    found, _ = services.profile(device.profile)
    from lab.wiring.queue import ask

    _check_fits(device, parts, found)
    if parts.scheme == "ssh" and accept_key:
        ask(services, device, found, "accept_key", {"fingerprint": accept_key})
    facts = facts_of(services, device, found)
    already = next((known for known in services.store.devices() if known.name == device.name), None)
    services.store.save_device(device)
    try:
        note_facts(device.name, facts, services.store)
    except LabError:
        _put_back(services.store, device.name, already)
        raise
    return device


def lock_device(services: Services, name: str, duration: str | None, reason: str) -> str | None:
    """Reserve a device for this user; returns until when (UTC), None for until it is released. Raises ConfigError."""
    until = None
    if duration is not None:
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|min|h|d)", duration)
        if not found:
            raise ConfigError(f"--for {duration!r}: expected a number with s, min, h or d, as in 90min or 2h.")
        seconds = float(found[1]) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[found[2]]
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    services.store.device(name)
    services.store.reserve(name, services.owner, reason or "no reason given", until)
    return until


def check_device(services: Services, name: str) -> tuple[CheckLine, ...]:
    """Connect to a registered device and say what works."""
    from lab.wiring.queue import ask

    device = services.store.device(name)
    profile, _ = services.profile(device.profile)
    answer = ask(services, device, profile, "check", {})
    facts: DeviceFacts = from_text(DeviceFacts, answer["facts"])
    note_facts(name, facts, services.store)
    return tuple(CheckLine(**line) for line in answer["lines"])


def facts_of(services: Services, device: Device, profile: DeviceProfile) -> DeviceFacts:
    """What the device says it is, asked by whoever reaches it."""
    from lab.wiring.queue import ask

    facts: DeviceFacts = from_text(DeviceFacts, ask(services, device, profile, "facts", {}))
    return facts


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


def build_transport(device: Device, profile: DeviceProfile, home: Path, store: Store | None) -> Transport:
    """The transport a device's URL names."""
    parts = _split_url(device.url)
    agent_home = home / "agents" / device.name
    python = device.python or sys.executable
    if parts.scheme == "local":
        return _made(_resolve(TRANSPORTS["local"])(python=python, home=agent_home))
    if parts.scheme == "virtual":
        return _made(_resolve(TRANSPORTS["virtual"])(profile=profile, python=python, home=agent_home))
    known = store.facts(device.name) if store is not None else None
    return _made(_resolve(TRANSPORTS["ssh"])(_ssh_target(device, home, has_aes=bool(known and known[0].has_aes))))


def _made(transport: Any) -> Transport:
    checked: Transport = transport
    return checked


def _ssh_target(device: Device, home: Path, *, has_aes: bool = False) -> Any:
    """AES-GCM is fast only where the device has AES instructions, which is known after the first connection."""
    from lab.transports.ssh import target_from_url

    return target_from_url(device.url, known_hosts=home / "known_hosts", python=device.python, prefer_gcm=has_aes)


def _split_url(url: str) -> SplitResult:
    parts = urlsplit(url if ":" in url else f"{url}:")
    if parts.scheme not in TRANSPORTS or parts.scheme == "scripted":
        raise ConfigError(f"Device address {url!r}: expected `local`, `virtual:PROFILE` or "
                          "`ssh://[user@]host[:port]`.")
    if parts.password:
        raise ConfigError(f"Device address of {parts.hostname} holds a password. Passwords are never stored: "
                          "use a key or ssh-agent, and leave the password out.")
    return parts


def _check_reboot(command: str | None, parts: SplitResult) -> None:
    if command is None:
        return
    if parts.scheme != "ssh":
        raise ConfigError(f"--reboot {command!r}: expected a device at an ssh:// address, got `{parts.geturl()}`. "
                          "`local` is the machine that works on the queue, and a virtual board is no machine.")
    if not command.strip() or not command.isprintable() or len(command) > _REBOOT_MAX:
        raise ConfigError(f"--reboot {command[:80]!r}: expected one line of at most {_REBOOT_MAX} characters, as "
                          "'sudo -n systemctl reboot'.")


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


def load_workload_for(spec: str, home: Path, listener: Listener) -> Workload:
    """The workload, loaded while this machine measures nothing."""
    from lab.workloads.loader import load_workload

    def show(text: str, fraction: float) -> None:
        listener(ProgressEvent(stage="prepare", subject=spec, text=text, fraction=fraction))

    with hold_host(waiting=lambda: show("waiting: this machine is measuring", 0.0)):
        return load_workload(spec, home, show)


def compressor(home: Path, artifacts: ArtifactStore) -> Callable[..., CompressedModel]:
    """Applies techniques on this machine, for a device with these facts."""
    def compress_for(workload: Workload, technique: Technique, seed: int, facts: DeviceFacts,
                     profile: DeviceProfile, progress: Callable[[str, float], None]) -> CompressedModel:
        from compressors.base import DOT_PRODUCT_ISA, HardwareFacts
        from lab.compression.pipeline import compress

        hardware = HardwareFacts(isa=tuple(sorted(set(DOT_PRODUCT_ISA) & set(facts.isa))),
                                 opset_max=profile.limits.opset_max, ir_max=profile.limits.ir_max)
        return compress(workload, technique, seed, artifacts=artifacts, cache_dir=home / "cache",
                        hardware=hardware, progress=progress)

    return compress_for


def owner_of(home: Path) -> str:
    """Who holds a lease: the person, their machine, and which LAB_HOME there."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = str(os.getuid())
    return f"{login}@{platform.node()}:{home_id_of(home)}"


def home_id_of(home: Path) -> str:
    """This LAB_HOME's own name, drawn once; a home made anew is another one."""
    path = home / "home-id"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(6))
    return path.read_text(encoding="ascii")
