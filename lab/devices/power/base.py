"""What the lab asks of anything that can cut a device's power, and the one way to cycle it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from lab.errors import PowerControlError

OFF_MAX_S = 600.0
"""Longest time a cycle leaves the power off."""

ON_ATTEMPTS = 3
ON_PAUSE_S = 2.0


class PowerSwitch(Protocol):
    """A relay, port or supply output that feeds one device; every method raises PowerControlError.

    A switch that can be asked confirms what it did before `off` or `on` returns.
    """

    @property
    def where(self) -> str:
        """What error texts call the switch; holds no password."""

    def off(self) -> None:
        """Cut the power."""

    def on(self) -> None:
        """Give the power back."""

    def state(self) -> bool | None:
        """Whether the power is on; None if this switch cannot be asked."""

    def cycle(self, off_s: float) -> None:
        """Off, `off_s` seconds, on; see `cycle_power`."""


def cycle_power(switch: PowerSwitch, off_s: float, sleep: Callable[[float], None]) -> None:
    """Off, wait, on. Switching on is tried several times, since a device left without power needs a person.

    Raises ValueError for a time outside (0, 600] s, PowerControlError saying in which state the device was left.
    """
    if not (math.isfinite(off_s) and 0 < off_s <= OFF_MAX_S):
        raise ValueError(f"{switch.where}: power can be off for more than 0 and at most {OFF_MAX_S:.0f} s, "
                         f"got {off_s}")
    try:
        switch.off()
    except PowerControlError as error:
        _on_again(switch, sleep, error)
        raise
    try:
        sleep(off_s)
    finally:  # also when a person interrupts the wait
        _on(switch, sleep)


def check_state(where: str, wanted: bool, got: bool | None) -> None:
    """Raise PowerControlError if the switch says it is in the other state than was asked for."""
    if got is not None and got != wanted:
        raise PowerControlError(f"{where}: asked to switch {_word(wanted)}, and it says it is {_word(got)}; "
                                "look whether a button, a timer or another program holds it", transient=True)


def _on(switch: PowerSwitch, sleep: Callable[[float], None]) -> None:
    for attempt in range(1, ON_ATTEMPTS + 1):
        try:
            switch.on()
        except PowerControlError as error:
            if attempt == ON_ATTEMPTS or not error.transient:
                error.add_note(f"The device behind {switch.where} may be without power: switch it on by hand.")
                raise
            sleep(ON_PAUSE_S)
        else:
            return


def _on_again(switch: PowerSwitch, sleep: Callable[[float], None], reason: PowerControlError) -> None:
    """After an `off` whose outcome nobody knows: the request may have arrived although its answer did not."""
    try:
        _on(switch, sleep)
    except PowerControlError as error:
        for note in getattr(error, "__notes__", ()):
            reason.add_note(note)


def _word(is_on: bool) -> str:
    return "on" if is_on else "off"
