"""What is written down before and instead of measuring: which machine answered, and why a cell failed."""

from __future__ import annotations

from collections.abc import Iterable

from lab.domain.block import Cell
from lab.domain.device import DeviceFacts
from lab.errors import DeviceError
from lab.store.store import Store

from .base import ProgressEvent, Services


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


def fail_cells(campaign_id: str, cells: Iterable[Cell], stage: str, error: BaseException,
               services: Services) -> None:
    """Write a failure down: once in the log, and as the reason in every cell it touches."""
    text = "\n".join([str(error) or repr(error), *getattr(error, "__notes__", ())])
    for cell in cells:
        services.store.record_failure(campaign_id, cell.id, cell.device, stage, type(error).__name__, text)
        services.store.set_cell_state(campaign_id, cell.id, "failed", text)
        services.listener(ProgressEvent(stage="measure", subject=cell.device,
                                        text=f"{cell.technique.name} failed: {text}"))
