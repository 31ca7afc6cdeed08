"""The agent's command line: `serve` for a controller, `block` and `worker` for itself, `spool` for a look."""

from __future__ import annotations

import os
import sys

if not __package__:  # run as a file out of a source tree: this folder's parent is what imports start from
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import argparse
from pathlib import Path
from typing import List, Optional


def main(argv: Optional[List[str]] = None) -> int:
    """Run one verb; the process's exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.verb == "serve":
        from agents.serve import serve

        return serve(arguments.token, _absolute(arguments.home), _absolute(arguments.root))
    if arguments.verb == "block":
        from agents.block import run_block
        from agents.home import AgentHome

        locks = [int(number) for number in arguments.lock_fds.split(",") if number]
        return run_block(AgentHome(_absolute(arguments.home)), _absolute(arguments.root), arguments.block, locks)
    if arguments.verb == "spool":
        from agents.serve import print_spool

        return print_spool(_absolute(arguments.home))
    if arguments.facts:
        from agents.facts import write_facts

        return write_facts(_absolute(arguments.root))
    from agents.worker import run_worker

    return run_worker(arguments.order, arguments.parent)


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _parser() -> argparse.ArgumentParser:
    from agents.home import DEFAULT_HOME

    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    serve = verbs.add_parser("serve", help="speak the wire protocol on stdin and stdout until stdin ends")
    serve.add_argument("--token", required=True, help="printed first, so that the controller finds the start")
    worker = verbs.add_parser("worker", help="measure one window as ordered, or list runtimes and probes")
    worker.add_argument("order", nargs="?", default="-", help="a JSON file, - for stdin")
    worker.add_argument("--parent", type=int, help="end when this process does")
    worker.add_argument("--facts", action="store_true", help="print what this device can run and read")
    block = verbs.add_parser("block", help="execute the plan in a block's folder")
    block.add_argument("--block", required=True)
    block.add_argument("--lock-fds", default="", help="inherited descriptors that hold this block's locks")
    spool = verbs.add_parser("spool", help="print the windows that wait for a controller, as JSON")
    for verb in (serve, block, spool):
        verb.add_argument("--home", default=DEFAULT_HOME)
    for verb in (serve, block, worker):
        verb.add_argument("--root", default="/", help="where sys and proc are; a captured tree in tests")
    return parser


if __name__ == "__main__":
    sys.exit(main())
