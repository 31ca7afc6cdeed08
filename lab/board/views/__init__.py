"""Pages of the board, one file each."""

VIEWS = {
    "compare": "lab.board.views.compare:render",
    "devices": "lab.board.views.devices:render",
    "campaigns": "lab.board.views.campaigns:render",
}
"""Page by name, in the order of the navigation; the first is the one that opens."""
