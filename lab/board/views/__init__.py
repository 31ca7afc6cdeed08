"""Pages of the board, one file each."""
