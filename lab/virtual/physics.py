"""The physics of a virtual board: power from processor time, temperature from power. Pure and exact.

    power        P = idle + busy_per_core · (processor seconds per second)
    energy       E = idle · elapsed + busy_per_core · processor time
    temperature  heat capacity C behind a thermal resistance R: τ = R · C, end value ambient + P · R
    clock        its maximum, or the throttled one while the board is too hot

The clock is only shown: the worker runs on this host and does not become slower.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace

from lab.errors import ConfigError

_NS = 1e-9
_THROTTLE_HYSTERESIS_C = 5.0
_LIMITS = {
    "idle_w": (0.0, 1000.0),
    "busy_per_core_w": (0.0, 100.0),
    "ambient_c": (-40.0, 80.0),
    "thermal_resistance_c_per_w": (0.01, 100.0),
    "thermal_capacity_j_per_c": (0.1, 10_000.0),
    "throttle_temperature_c": (0.0, 200.0),
    "clock_max_hz": (1e6, 1e10),
    "clock_throttled_hz": (1e6, 1e10),
    "sensor_period_ns": (5e6, 1e9),
    "sensor_resolution_w": (1e-6, 10.0),
    "memory_bytes": (1e6, 1e13),
}


@dataclass(frozen=True, kw_only=True)
class Physics:
    """Constants of one board; a profile's `physics` section has these keys.

    The sensor gives the mean of each `sensor_period_ns`, rounded to `sensor_resolution_w`.
    """

    idle_w: float
    busy_per_core_w: float
    ambient_c: float
    thermal_resistance_c_per_w: float
    thermal_capacity_j_per_c: float
    throttle_temperature_c: float
    clock_max_hz: float
    clock_throttled_hz: float
    sensor_period_ns: float
    sensor_resolution_w: float
    memory_bytes: float

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, float]]) -> Physics:
        """Constants from a profile's pairs; raises ConfigError naming the key."""
        values = dict(pairs)
        known = {field.name for field in fields(cls)}
        if wrong := sorted(set(values) ^ known):
            problem = "unknown" if wrong[0] in values else "missing"
            raise ConfigError(f"physics.{wrong[0]}: {problem}. Expected exactly {', '.join(sorted(known))}.")
        for key, (low, high) in _LIMITS.items():
            if not low <= values[key] <= high:
                raise ConfigError(f"physics.{key}: expected {low:g} to {high:g}, got {values[key]:g}")
        return cls(**values)

    def pairs(self) -> tuple[tuple[str, float], ...]:
        """The inverse of `from_pairs`."""
        return tuple(asdict(self).items())

    def start(self) -> BoardState:
        """A board that has been idle long enough to have its idle temperature."""
        return BoardState(elapsed_ns=0, cpu_ns=0, clock_hz=round(self.clock_max_hz),
                          temperature_c=self.settled_temperature_c(self.idle_w))

    def step(self, state: BoardState, dt_ns: int, cpu_ns: int) -> BoardState:
        """The board `dt_ns` later, after `cpu_ns` of processor time spread evenly over it."""
        if dt_ns <= 0:
            return state
        power_w = self.idle_w + self.busy_per_core_w * cpu_ns / dt_ns
        end_c = self.settled_temperature_c(power_w)
        tau_s = self.thermal_resistance_c_per_w * self.thermal_capacity_j_per_c
        temperature_c = end_c + (state.temperature_c - end_c) * math.exp(-dt_ns * _NS / tau_s)
        return replace(state, elapsed_ns=state.elapsed_ns + dt_ns, cpu_ns=state.cpu_ns + cpu_ns,
                       temperature_c=temperature_c, clock_hz=self._clock_hz(state, temperature_c))

    def energy_j(self, state: BoardState) -> float:
        """Energy since the start. Computed from whole nanoseconds, so nothing is lost however often one steps."""
        return (self.idle_w * state.elapsed_ns + self.busy_per_core_w * state.cpu_ns) * _NS

    def mean_power_w(self, before: BoardState, after: BoardState) -> float:
        """Mean power from one state to a later one; idle power if no time has passed."""
        elapsed_ns = after.elapsed_ns - before.elapsed_ns
        if elapsed_ns <= 0:
            return self.idle_w
        return self.idle_w + self.busy_per_core_w * (after.cpu_ns - before.cpu_ns) / elapsed_ns

    def settled_temperature_c(self, power_w: float) -> float:
        """Where the temperature ends at constant power."""
        return self.ambient_c + power_w * self.thermal_resistance_c_per_w

    def sensor_microwatts(self, power_w: float) -> int:
        """What the power sensor shows for a mean power, in µW."""
        steps = round(power_w / self.sensor_resolution_w)
        return round(steps * self.sensor_resolution_w * 1e6)

    def _clock_hz(self, state: BoardState, temperature_c: float) -> int:
        throttled_hz = round(self.clock_throttled_hz)
        was_throttled = state.clock_hz == throttled_hz
        limit_c = self.throttle_temperature_c - (_THROTTLE_HYSTERESIS_C if was_throttled else 0.0)
        return throttled_hz if temperature_c >= limit_c else round(self.clock_max_hz)


@dataclass(frozen=True, kw_only=True)
class BoardState:
    """A board at one instant: time since its start, processor time used in it, temperature and clock."""

    elapsed_ns: int
    cpu_ns: int
    temperature_c: float
    clock_hz: int
