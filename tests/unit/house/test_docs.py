"""What the documents promise exists, and what exists is documented."""

from __future__ import annotations

import re
from pathlib import Path

import click

from lab.cli.main import lab
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
    """Flags are read by people; the page lists them all."""
    page = (ROOT / "docs/measurement.md").read_text()
    assert [code for code in FLAG_CODES if f"`{code}`" not in page] == []


def test_every_top_level_folder_is_in_the_readme_tree():
    """The annotated tree is complete."""
    tracked = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    ours = tracked & {"lab", "agents", "compressors", "profiles", "results", "docker", "examples", "benchmarks", "docs",
                      "tests"}
    assert [name for name in sorted(ours) if f"{name}/" not in README] == []
