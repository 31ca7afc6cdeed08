"""The language both ends speak: no I/O here, so controller, agent and tests share it.

`PROTOCOL` changes when a message does; the controller ships the agent, so there is no compatibility code.
"""

PROTOCOL = 1
"""Version of the message layer, sent in HELLO."""

HOST_LOCK_NAME = "joulelab-host.lock"
"""File in `host_lock_place.host_lock_folder()` whose `flock` means: this machine's cores are being measured."""

IDLE_CELL = "idle"
"""What stands in a recording's key where a window belongs to no cell."""
