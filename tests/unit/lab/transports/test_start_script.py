"""The start script on real Pythons and real shells: it must say what is wrong before any agent can."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import ConfigError
from lab.transports.base import AgentBundle
from lab.transports.start_script import AgentStart
from tests.conftest import need

AGENT = b"import sys; print(sys.argv[1:])"


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "bundle.pyz"
    path.write_bytes(AGENT)
    return AgentBundle(path=path, sha256=hashlib.sha256(AGENT).hexdigest())


@pytest.fixture
def start(bundle, tmp_path):
    return AgentStart(
        bundle=bundle, home=str(tmp_path / "agent home"), python=sys.executable, more=("--root", "/some where"))


def with_python(start, python):
    return replace(start, python=python)


def old_python(version):
    path = Path.home() / f".pyenv/versions/{version}/bin/python"
    need(f"python{version}", path.exists())
    return str(path)


def run(arguments, stdin=b"", **environment):
    done = subprocess.run(arguments, input=stdin, capture_output=True, env={**os.environ, **environment}, timeout=60,
                          check=False)
    return done.stdout.decode(), done.stderr.decode()


def statuses(start, output):
    lines = [line.split(" ", 2) for line in output.splitlines() if line.startswith(start.status_token)]
    return [(word, json.loads(facts)) for _, word, facts in lines]


def test_fetches_the_agent_once_and_becomes_it(start, tmp_path):
    output, errors = run(start.arguments(), AGENT)
    assert errors == ""
    assert [word for word, _ in statuses(start, output)] == ["need", "start"]
    home = str(tmp_path / "agent home")
    expected = ["serve", "--token", start.agent_token, "--home", home, "--root", "/some where"]
    assert output.splitlines()[-1] == str(expected)
    again, _ = run(start.arguments())
    assert [word for word, _ in statuses(start, again)] == ["start"]


def test_keeps_only_the_agent_in_a_private_folder(start, bundle, tmp_path):
    run(start.arguments(), AGENT)
    home = tmp_path / "agent home"
    assert [entry.name for entry in home.iterdir()] == [f"agent-{bundle.sha256}.pyz"]
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_cached_agent_with_other_bytes_is_replaced(start, bundle, tmp_path):
    home = tmp_path / "agent home"
    home.mkdir()
    (home / f"agent-{bundle.sha256}.pyz").write_bytes(b"broken")
    output, _ = run(start.arguments(), AGENT)
    assert [word for word, _ in statuses(start, output)] == ["need", "start"]


def test_a_damaged_agent_is_refused_and_not_kept(start, tmp_path):
    output, _ = run(start.arguments(), AGENT[::-1])
    assert [word for word, _ in statuses(start, output)] == ["need", "hash"]
    assert list((tmp_path / "agent home").iterdir()) == []


def test_an_agent_cut_short_is_not_kept(start, tmp_path):
    output, _ = run(start.arguments(), AGENT[:5])
    assert [word for word, _ in statuses(start, output)] == ["need"]
    assert list((tmp_path / "agent home").iterdir()) == []


@pytest.mark.parametrize("version", ["2.7.18", "3.6.15", "3.7.16", "3.8.18"])
def test_an_old_python_says_its_version(start, version):
    python = old_python(version)
    output, errors = run(with_python(start, python).arguments())
    assert errors == ""
    [(word, facts)] = statuses(start, output)
    assert word == "old"
    assert facts["python"] == version
    assert Path(facts["path"]).exists()


@pytest.mark.parametrize("version", ["3.9.18", "3.13.0"])
def test_supported_pythons_start(start, version):
    output, _ = run(with_python(start, old_python(version)).arguments(), AGENT)
    assert statuses(start, output)[-1][0] == "start"
    assert statuses(start, output)[-1][1]["python"] == version


def test_an_old_python3_hands_over_to_a_newer_one(start, tmp_path):
    (tmp_path / "bin").mkdir()
    for name, version in (("python3", "3.7.16"), ("python3.14", "3.6.15"), ("python3.9", "3.9.18")):
        (tmp_path / "bin" / name).symlink_to(old_python(version))
    line = with_python(start, None).shell_line()
    output, errors = run(["/bin/sh", "-c", line], AGENT, PATH=str(tmp_path / "bin"))
    assert errors == ""
    [need_status, (word, facts)] = statuses(start, output)
    assert (need_status[0], word, facts["python"]) == ("need", "start", "3.9.18")


def test_a_home_below_a_file_is_named_with_the_systems_reason(bundle, tmp_path):
    start = AgentStart(bundle=bundle, home=str(bundle.path / "home"), python=sys.executable)
    output, _ = run(start.arguments())
    [(word, facts)] = statuses(start, output)
    assert word == "home"
    assert facts["path"] == str(bundle.path / "home")
    assert "Not a directory" in facts["error"]


def test_a_home_relative_to_the_users_follows_tilde_and_none(bundle, tmp_path):
    for home in ("lab/agent", "~/lab/agent"):
        start = AgentStart(bundle=bundle, home=home, python=sys.executable)
        run(start.arguments(), AGENT, HOME=str(tmp_path))
        assert (tmp_path / "lab" / "agent" / f"agent-{bundle.sha256}.pyz").exists()
        shutil.rmtree(tmp_path / "lab")


@pytest.mark.parametrize("shell", [
    ["sh"], ["dash"], ["bash"], ["busybox", "ash"], ["csh"], ["tcsh"], ["zsh"], ["fish"], ["ksh"],
])
def test_every_shell_reads_the_line_alike(start, shell):
    need(shell[0], shutil.which(shell[0]))
    output, errors = run([*shell, "-c", start.shell_line()], AGENT)
    assert errors == ""
    assert [word for word, _ in statuses(start, output)] == ["need", "start"]


def test_a_host_without_python_says_so(start, tmp_path):
    output, _ = run(["/bin/sh", "-c", with_python(start, None).shell_line()], PATH=str(tmp_path))
    assert statuses(start, output) == [("none", {})]


def test_a_python_below_the_home_folder_may_be_written_with_a_tilde(start, tmp_path):
    (tmp_path / "py").symlink_to(sys.executable)
    output, _ = run(["/bin/sh", "-c", with_python(start, "~/py").shell_line()], AGENT, HOME=str(tmp_path))
    assert statuses(start, output)[-1][0] == "start"


def test_the_line_fits_the_smallest_servers(start):
    line = with_python(start, None).shell_line()
    assert len(line) < 9000
    assert "\n" not in line


@pytest.mark.parametrize("name", [
    "py'thon", "py!thon", "py\nthon", "py\\thon", "$(id)", "`id`", "a;b", "", "python3\n",
])
def test_a_python_that_no_shell_could_quote_is_refused(start, name):
    with pytest.raises(ConfigError, match="python"):
        with_python(start, name).shell_line()


@given(st.text(min_size=1, max_size=40))
def test_no_accepted_name_can_leave_its_quotes(name):
    start = AgentStart(bundle=AgentBundle(path=Path(__file__), sha256="0" * 64), home="x", python=name)
    try:
        line = start.shell_line()
    except ConfigError:
        return
    assert line.endswith(f" '{name}'")
    assert not set("'!\n\\$`;&|<>\"") & set(name)


def test_tokens_differ_from_start_to_start(bundle):
    one, two = AgentStart(bundle=bundle, home="x"), AgentStart(bundle=bundle, home="x")
    assert len({one.status_token, one.agent_token, two.status_token, two.agent_token}) == 4
    assert {len(one.agent_token), len(one.status_token)} == {32}
