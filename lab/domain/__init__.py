"""What the lab talks about: frozen dataclasses without I/O; the unit of every number is in its name."""
