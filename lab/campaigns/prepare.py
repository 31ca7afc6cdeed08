"""What must be true before anything is measured: devices answer, and artifacts exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.domain.artifact import CompressedModel
from lab.domain.block import Cell
from lab.domain.device import DeviceFacts
from lab.errors import DeviceError, LabError
from lab.store.store import Store
from lab.workloads.base import Workload

from .base import ProgressEvent, Services
from .block import open_session
from .host_lock import hold_host


def contact(device_name: str, services: Services) -> DeviceFacts:
    """Connect once and learn what is there; raises DeviceError."""
    device = services.store.device(device_name)
    profile, _ = services.profile(device.profile)
    with open_session(device, profile, services) as session:
        facts = session.facts()
    note_facts(device_name, facts, services.store)
    return facts


def note_facts(device_name: str, facts: DeviceFacts, store: Store) -> None:
    """Store what the agent said; raises DeviceError if the name meant another machine before.

    A name must go on meaning the same machine, since results are kept under it, also after the device was removed.
    """
    known = store.facts(device_name)
    if known and (known[0].machine, known[0].cpu_model) != (facts.machine, facts.cpu_model):
        raise DeviceError(
            f"Device {device_name} is another machine now: results under this name are of {known[0].cpu_model} "
            f"({known[0].machine}), it is {facts.cpu_model} ({facts.machine}). They would be mixed. Register this "
            "machine under a new name with `lab devices add`."
        )
    store.save_facts(device_name, facts)


def compress_cell(cell: Cell, workload: Workload, facts: DeviceFacts, services: Services) -> CompressedModel:
    """The cell's artifact, from cache where possible; holds this machine only while there is work to do."""
    device = services.store.device(cell.device)
    profile, _ = services.profile(device.profile)
    subject = cell.technique.name

    def show(text: str, fraction: float) -> None:
        services.listener(ProgressEvent(stage="compress", subject=subject, text=text, fraction=fraction))

    with hold_host(waiting=lambda: show("waiting: this machine is measuring", 0.0)):
        model = services.compress(workload, cell.technique, cell.seed, facts, profile, show)
    services.store.save_compressed(cell.workload_sha256, model, cell.technique)
    services.store.set_cell_artifact(cell.id, model.artifact.sha256)
    show("done", 1.0)
    return model


def compress_all(campaign_id: str, cells: Sequence[Cell], workload: Workload, facts: dict[str, DeviceFacts],
                 services: Services) -> dict[str, str]:
    """Artifact hash by cell id; a technique that cannot be applied fails its own cells and no others."""
    made: dict[str, str] = {}
    for cell in cells:
        if cell.device not in facts:
            continue
        try:
            made[cell.id] = compress_cell(cell, workload, facts[cell.device], services).artifact.sha256
        except LabError as error:
            fail_cells(campaign_id, [cell], "compress", error, services)
    return made


def fail_cells(campaign_id: str, cells: Iterable[Cell], stage: str, error: BaseException,
               services: Services) -> None:
    """Write a failure down: once in the log, and as the reason in every cell it touches."""
    text = "\n".join([str(error) or repr(error), *getattr(error, "__notes__", ())])
    for cell in cells:
        services.store.record_failure(campaign_id, cell.id, cell.device, stage, type(error).__name__, text)
        services.store.set_cell_state(campaign_id, cell.id, "failed", text)
        services.listener(ProgressEvent(stage="measure", subject=cell.device,
                                        text=f"{cell.technique.name} failed: {text}"))
