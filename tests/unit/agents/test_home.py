"""Files in the agent's home are whole or absent, and only this user may read them."""

import json
import stat

import pytest

from agents.home import AgentHome, last_line, read_json, write_atomic, write_json


def test_create_makes_every_folder_for_this_user_only(tmp_path):
    home = AgentHome(tmp_path / "deep" / "home")
    home.create()
    home.create()
    for folder in (home.path, home.blobs, home.partial, home.blocks, home.spool):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_home_that_others_could_read_is_closed_but_not_opened_for_writing(tmp_path):
    for before, after in ((0o755, 0o700), (0o500, 0o500), (0o555, 0o500)):
        home = AgentHome(tmp_path / f"home-{before:o}")
        home.create()
        home.path.chmod(before)
        home.create()
        assert stat.S_IMODE(home.path.stat().st_mode) == after


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    (tmp_path / "file").mkdir()  # a folder cannot be replaced by a file
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").is_dir()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_planted_link_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "file").symlink_to(victim)
    write_atomic(tmp_path / "file", b"new")
    assert victim.read_bytes() == b"precious"


def test_json_round_trips(tmp_path):
    write_json(tmp_path / "file", {"a": [1, None]})
    assert read_json(tmp_path / "file") == {"a": [1, None]}
    assert json.loads((tmp_path / "file").read_text()) == {"a": [1, None]}


@pytest.mark.parametrize(("log", "start", "expected"), [
    ("", 0, ""), ("one\ntwo \n\n", 0, "two"), ("one\n", 4, ""), ("x" * 9000, 0, "x" * 500)])
def test_the_last_line_of_a_log_is_found_and_bounded(tmp_path, log, start, expected):
    (tmp_path / "log").write_text(log)
    assert last_line(tmp_path / "log", start) == expected


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\0"])
def test_a_file_without_json_reads_as_nothing(tmp_path, text):
    (tmp_path / "file").write_text(text)
    assert read_json(tmp_path / "file") is None


def test_a_missing_file_reads_as_nothing(tmp_path):
    (tmp_path / "file").touch()
    assert read_json(tmp_path / "absent") is None
    assert read_json(tmp_path / "file" / "below") is None
