"""Models with their data and metric: built-in ones, and the loader for a user's own."""

WORKLOADS = {
    "digits": "lab.workloads.digits:load",
}
"""Name in a campaign file → `module:function(home, progress) -> Workload`."""
