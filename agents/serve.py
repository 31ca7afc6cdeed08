"""`serve`: claim the wire, put everything together, say hello, and loop."""

from __future__ import annotations

import json
import re
import secrets
import sys
from pathlib import Path

from agents.background import Background
from agents.blobs import BlobStore
from agents.block_control import Blocks
from agents.children import bundle_sha256
from agents.clocks import read_boot_id
from agents.home import AgentHome
from agents.host_info import hello_header
from agents.lease import LeaseFile
from agents.ops.base import Services
from agents.spool import Spool
from agents.supervisor import Supervisor, claim_wire

_TOKEN = re.compile(r"[0-9a-f]{32}")


def serve(token: str, home_path: Path, root: Path) -> int:
    """Serve the controller on stdin and stdout; exit status 0 at the end of the wire, 2 on garbage or a bad token."""
    wire = claim_wire()
    if not _TOKEN.fullmatch(token):
        sys.stderr.write("agent: --token must be 32 hexadecimal digits\n")
        return 2
    home, boot_id, background = AgentHome(home_path), read_boot_id(), Background()
    blocks = Blocks(home, root, boot_id, background)
    try:
        home.create()
        for problem in blocks.restore_state_if_idle():
            sys.stderr.write(f"agent: after a killed block, {problem}\n")
    except OSError as error:  # a home that cannot be written is told to whoever asks for something that needs it
        sys.stderr.write(f"agent: {error}\n")
    services = Services(home, root, LeaseFile(home.path, boot_id), BlobStore(home), Spool(home), blocks, background, {})
    hello = hello_header(root, agent_sha256=bundle_sha256(), boot_id=boot_id, session=secrets.token_hex(8))
    try:
        return Supervisor(services, wire, token.encode("ascii"), hello).run()
    finally:
        background.close()


def print_spool(home_path: Path) -> int:
    """Print what waits in the spool, one JSON object a line."""
    for entry in Spool(AgentHome(home_path)).entries():
        sys.stdout.write(json.dumps(entry._asdict()) + "\n")
    return 0
