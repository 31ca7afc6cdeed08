"""Models with their data and metric: built-in ones, and the loader for a user's own."""

WORKLOADS = {
    "digits": "lab.workloads.digits:load",
}
"""Name in a campaign file → `module:function(home, progress) -> Workload`."""

NOTE = "note: "
"""A progress text that begins so says what a reader of the results has to know; it must not be lost to the next one."""
