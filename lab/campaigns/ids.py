"""What a campaign is called by the machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from lab.domain.campaign import Campaign


def campaign_id_of(campaign: Campaign) -> str:
    """Hash of everything the campaign says."""
    text = json.dumps(asdict(campaign), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
