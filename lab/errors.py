"""Every error the lab raises on purpose, as one tree.

    LabError
    ├── ConfigError            a campaign, profile or setting is wrong; exit code 2
    │   └── WorkloadError      the user's workload breaks its contract
    ├── CompressionError       a step failed or produced an unusable artifact
    ├── DeviceError            something between the controller and the device
    │   ├── TransportError
    │   │   ├── ConnectFailed      nobody there, or no agent could be started
    │   │   ├── HostKeyError       the host's key is unknown or has changed; never retried
    │   │   ├── AuthFailed         the host refused the user
    │   │   ├── TransportTimeout   a deadline passed
    │   │   └── ConnectionLost     the link ended in the middle
    │   ├── AgentError
    │   │   ├── ProtocolMismatch   the two ends do not speak the same protocol, or one sent garbage
    │   │   ├── RequestFailed      the agent answered with an error
    │   │   ├── DeviceBusy         another holder has the lease
    │   │   └── WorkerDied         the measuring process ended in a window
    │   └── PowerControlError  a device's power could not be switched, or nobody knows whether it was
    ├── MeterError
    ├── ExecutorTaken          another process has this worker's role
    ├── MeasurementInvalid     numbers arrived but may not be used
    ├── StoreError
    │   ├── DiskFull           no space left; goes on by itself once there is some
    │   ├── SharedFilesMissing files were to cross to another machine, and one side does not know where they lie
    │   ├── RecordingConflict  a place in the database holds other bytes than those that came for it
    │   └── RecordingMisplaced a recording belongs to nothing that the database knows
    └── NotFound               a name or id that nothing answers to

`transient` decides whether a retry can help. `exit_code` is what the command line returns.
"""

from __future__ import annotations


class LabError(Exception):
    """Base of the tree: the text says what failed, on what, expected, got, and the next step."""

    transient: bool = False
    exit_code: int = 1


class ConfigError(LabError):
    """A campaign, profile or setting is wrong."""

    exit_code = 2


class WorkloadError(ConfigError):
    """The user's workload breaks its contract."""


class CompressionError(LabError):
    """A step failed or produced an artifact that cannot be used."""


class DeviceError(LabError):
    """Something between the controller and the device failed."""


class TransportError(DeviceError):
    """The byte stream to the agent failed."""


class ConnectFailed(TransportError):
    """Nobody answered, or no agent could be started there."""

    transient = True


class HostKeyError(TransportError):
    """The host's key is unknown or differs from the pinned one."""


class AuthFailed(TransportError):
    """The host refused the user."""


class TransportTimeout(TransportError):
    """A deadline passed without an answer."""

    transient = True


class ConnectionLost(TransportError):
    """The link ended in the middle."""

    transient = True


class AgentError(DeviceError):
    """The agent answered, but not with what was asked for."""


class ProtocolMismatch(AgentError):
    """The two ends do not speak the same protocol, or one sent garbage."""


class RequestFailed(AgentError):
    """The agent answered with an error; `code` is its machine-readable name."""

    def __init__(self, message: str, *, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code


class DeviceBusy(AgentError):
    """Another holder has the lease."""

    transient = True


class WorkerDied(AgentError):
    """The measuring process ended in a window."""

    transient = True


class PowerControlError(DeviceError):
    """A device's power could not be switched; `transient` says whether the switch may answer another time."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class MeterError(LabError):
    """An external power meter failed."""


class ExecutorTaken(LabError):
    """Another live process has this worker's role."""


class MeasurementInvalid(LabError):
    """Numbers arrived but may not be used."""


class StoreError(LabError):
    """The database, a trace or an artifact could not be read or written."""


class DiskFull(StoreError):
    """No space is left where something had to be written."""

    transient = True


class SharedFilesMissing(StoreError):
    """Artifacts or recordings were to cross to another machine, but one side was not told where the files lie."""

    transient = True


class RecordingConflict(StoreError):
    """A window is kept already, with other bytes than those that came for it."""


class RecordingMisplaced(StoreError):
    """A recording's block belongs elsewhere, or no campaign has its cell."""


class NotFound(LabError):
    """A name or id that nothing answers to."""

    exit_code = 2
