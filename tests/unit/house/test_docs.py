"""What the documents promise exists, and what exists is documented."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

from lab.cli.main import COMMANDS, lab
from lab.config.campaign import load_campaign
from lab.domain.flags import FLAG_CODES

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()


def commands(group: click.Group, prefix: str = "lab") -> list[str]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append(f"{prefix} {name}")
        if isinstance(command, click.Group):
            found += commands(command, f"{prefix} {name}")
    return found


def test_every_command_is_in_the_cli_page():
    """A command nobody can read about does not exist."""
    page = (ROOT / "docs/cli.md").read_text()
    assert [name for name in commands(lab) if f"`{name}" not in page] == []


def test_every_lab_command_in_the_readme_exists():
    """The README's commands are the ones used."""
    known = set(commands(lab))
    used = {" ".join(match.split()[:3]) for match in re.findall(r"^(lab [a-z][^\n#]*)", README, re.MULTILINE)}
    used = {name if name in known else " ".join(name.split()[:2]) for name in used}
    assert used
    assert used <= known


def test_files_that_the_readme_runs_exist_and_their_devices_are_added_before():
    """Typed from top to bottom on a fresh machine, no line may fail for want of an earlier one."""
    added: set[str] = set()
    ran = 0
    for line in README.splitlines():
        words = line.split()
        if words[:3] == ["lab", "devices", "add"]:
            added.add(words[3])
        elif words[:3] == ["lab", "devices", "check"]:
            assert words[3] in added
        elif words[:2] == ["lab", "run"]:
            ran += 1
            assert set(yaml.safe_load((ROOT / words[2]).read_text())["devices"]) <= added
    assert ran


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_says_how_to_register_its_devices(path):
    """`lab run` on a fresh machine refuses names it does not know."""
    text = path.read_text()
    campaign = load_campaign(path)
    added = dict(re.findall(r"^#   lab devices add (\S+) (\S+)", text, re.MULTILINE))
    assert set(added) == set(campaign.devices)
    assert f"#   lab run examples/{path.name}\n" in text


def test_no_page_names_a_command_that_does_not_exist():
    """In READMEs, pages, examples and profiles, in code and in the texts it prints."""
    known = set(COMMANDS) | {"-h", "--help", "--version"}
    folders = ("docs", "examples", "profiles", "lab", "agents", "compressors", "docker")
    pages = [path for folder in folders for suffix in ("md", "yaml", "py")
             for path in (ROOT / folder).rglob(f"*.{suffix}")]
    wrong = [f"{path.relative_to(ROOT)}: lab {word}" for path in [*pages, *ROOT.glob("*.md")]
             for word in re.findall(r"`lab ([a-z-]+)", path.read_text()) if word not in known]
    assert wrong == []


def test_both_commands_of_a_fresh_machine_are_in_the_readme():
    """`make demo` and `make test` are all a newcomer needs."""
    assert "make demo" in README
    assert "make test" in README


def test_links_between_pages_lead_somewhere():
    """A dead link is a promise broken."""
    dead = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        dead += [f"{page.relative_to(ROOT)} → {target}" for target in targets
                 if not target.startswith(("http://", "https://")) and not (page.parent / target).exists()]
    assert dead == []


def test_every_flag_code_is_explained():
    """Flags are read by people; the page lists them all in the code's words, and no others."""
    page = (ROOT / "docs/measurement.md").read_text()
    table = page.partition("## Flags")[2]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)) == FLAG_CODES


def test_every_top_level_folder_is_in_the_readme_tree():
    """The annotated tree is complete."""
    tracked = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    ours = tracked & {"lab", "agents", "compressors", "profiles", "results", "docker", "examples", "benchmarks", "docs",
                      "tests"}
    assert [name for name in sorted(ours) if f"{name}/" not in README] == []
