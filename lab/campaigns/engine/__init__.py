"""The durable queue: the only package that knows dbos. See docs/queue.md for what it promises."""
