"""No container engine builds these files in CI, so at least what they name must exist."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]


def test_compose_builds_from_files_that_exist():
    """Context and Dockerfile of every service are there; what is not built names a version."""
    services = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]
    builds = [service["build"] for service in services.values() if "build" in service]
    assert len(builds) == 4
    images = [service["image"] for service in services.values() if "build" not in service]
    assert [image for image in images if not re.fullmatch(r"\w+:\d+", image)] == []
    for build in builds:
        assert ((ROOT / "docker" / build["context"]).resolve() / build["dockerfile"]).is_file()


def test_compose_names_volumes_and_files_that_exist():
    """A mistyped volume is refused by the engine, a mistyped file becomes an empty folder; both are found here."""
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    sources = [mount.split(":")[0] for mount in mounts if not mount.startswith("${")]
    assert {source for source in sources if not source.startswith(".")} == set(compose["volumes"])
    files = [source for source in sources if source.startswith(".")]
    assert files
    assert [name for name in files if not (ROOT / "docker" / name).is_file()] == []


def test_what_was_there_before_the_queue_starts_without_it():
    """A device and the board need no database, and no variable but the public key."""
    text = (ROOT / "docker/compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    assert {name for name, service in services.items() if "profiles" not in service} == {"device", "board"}
    assert re.findall(r"\$\{(\w+):\?", text) == ["LAB_PUBLIC_KEY"]


def test_sites_of_the_queue_share_database_and_folder_and_nothing_else():
    """The worker has a home of its own: only the controller writes results."""
    services = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]
    controller, worker = services["controller"], services["worker"]
    assert controller["environment"] == worker["environment"]
    assert "sslmode=verify-full" in worker["environment"]["LAB_ENGINE_URL"]
    assert set(controller["environment"]) == {"LAB_ENGINE_URL", "LAB_SHARED_URL"}
    named = [{mount.split(":")[0] for mount in service["volumes"] if mount[0].isalpha()}
             for service in (controller, worker)]
    assert named[0] & named[1] == {"shared"}


def test_images_copy_what_exists():
    """A renamed folder breaks the image; this finds it without building."""
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "docker/lab.Dockerfile").read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []
