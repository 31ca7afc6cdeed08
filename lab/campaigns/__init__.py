"""Planning, blocks, the stopping rule, and the engine that drives them."""
