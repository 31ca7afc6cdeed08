"""No container engine builds these files in CI, so at least what they name must exist."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]


def test_compose_builds_from_files_that_exist():
    """Context and Dockerfile of every service are there."""
    services = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]
    builds = [service["build"] for service in services.values()]
    assert len(builds) == 2
    for build in builds:
        assert ((ROOT / "docker" / build["context"]).resolve() / build["dockerfile"]).is_file()


def test_images_copy_what_exists():
    """A renamed folder breaks the image; this finds it without building."""
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "docker/lab.Dockerfile").read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []
