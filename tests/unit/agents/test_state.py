"""State is set only after what was there is on disk, verified by reading back, and put back exactly."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.state import StateKeeper

CPUFREQ = "sys/devices/system/cpu/cpufreq"


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / "root")


def make_root(root, policies=("policy0", "policy4")):
    for policy in policies:
        folder = root / CPUFREQ / policy
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("powersave\n")
        (folder / "scaling_max_freq").write_text("1800000\n")
    return root


def keeper(root, boot_id="boot-1"):
    return StateKeeper(root, root.parent / "state-journal.json", boot_id)


def values(root, name="scaling_governor"):
    return [path.read_text().strip() for path in sorted((root / CPUFREQ).glob(f"policy*/{name}"))]


def test_every_policy_is_set_and_then_put_back(root):
    state = keeper(root)
    assert state.apply([("governor", "performance"), ("scaling_max_freq_khz", "600000")]) == []
    assert values(root) == ["performance", "performance"]
    assert values(root, "scaling_max_freq") == ["600000", "600000"]
    assert state.restore() == []
    assert values(root) == ["powersave", "powersave"]
    assert values(root, "scaling_max_freq") == ["1800000", "1800000"]
    assert not (root.parent / "state-journal.json").exists()


def test_nothing_wanted_writes_nothing(root):
    assert keeper(root).apply([]) == []
    assert not (root.parent / "state-journal.json").exists()
    assert keeper(root).restore() == []


def test_after_a_crash_the_next_start_puts_the_state_back(root):
    keeper(root).apply([("governor", "performance")])
    assert keeper(root).restore() == []
    assert values(root) == ["powersave", "powersave"]


def test_the_journal_is_on_disk_before_the_first_change(root):
    journal = root.parent / "state-journal.json"
    journal.mkdir()  # so that it cannot be written
    with pytest.raises(OSError, match="journal"):
        keeper(root).apply([("governor", "performance")])
    assert values(root) == ["powersave", "powersave"]


def test_after_a_reboot_the_journal_is_only_forgotten(root):
    keeper(root).apply([("governor", "performance")])
    assert keeper(root, "boot-2").restore() == []
    assert values(root) == ["performance", "performance"]
    assert not (root.parent / "state-journal.json").exists()


def test_older_kernels_have_a_folder_per_processor(tmp_path):
    folder = tmp_path / "root/sys/devices/system/cpu/cpu0/cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_governor").write_text("ondemand\n")
    state = keeper(tmp_path / "root")
    assert state.apply([("governor", "performance")]) == []
    assert (folder / "scaling_governor").read_text() == "performance"
    state.restore()
    assert (folder / "scaling_governor").read_text() == "ondemand"


def flagged(found):
    (flag,) = found
    assert flag["code"] == "state_not_set"
    assert flag["severity"] == "degraded"
    return flag["detail"]


def test_a_control_nobody_knows_is_flagged_with_those_that_are_known(root):
    assert "knows only governor" in flagged(keeper(root).apply([("voltage", "1")]))


def test_a_control_this_device_lacks_is_flagged(tmp_path):
    (tmp_path / "root").mkdir()
    assert "no such control" in flagged(keeper(tmp_path / "root").apply([("governor", "performance")]))


def test_a_value_that_does_not_stick_is_flagged_and_the_rest_is_set(root):
    stubborn = root / CPUFREQ / "policy0/scaling_governor"
    stubborn.unlink()
    stubborn.symlink_to("/dev/null")  # takes every write and reads as nothing
    detail = flagged(keeper(root).apply([("governor", "performance")]))
    assert "policy0" in detail
    assert "reads ''" in detail
    assert values(root)[1] == "performance"


def test_a_value_that_is_refused_is_flagged_with_the_reason(root):
    (root / CPUFREQ / "policy4/scaling_governor").unlink()
    (root / CPUFREQ / "policy4/scaling_governor").symlink_to("/dev/full")
    assert "No space left" in flagged(keeper(root).apply([("governor", "performance")]))


def test_a_value_that_is_no_plain_text_is_flagged(root):
    assert "failed" in flagged(keeper(root).apply([("governor", "schnell\u2192")]))
    assert values(root) == ["powersave", "powersave"]


def test_what_cannot_be_put_back_is_said(root):
    state = keeper(root)
    state.apply([("governor", "performance")])
    gone = root / CPUFREQ / "policy0/scaling_governor"
    gone.unlink()
    gone.mkdir()
    (problem,) = state.restore()
    assert "policy0" in problem
    assert "'powersave'" in problem
    assert values_of(root, "policy4") == "powersave"


def values_of(root, policy):
    return (root / CPUFREQ / policy / "scaling_governor").read_text().strip()


@pytest.mark.parametrize("relative", ["etc/passwd", "sys/devices/system/cpu/../../../../../victim/scaling_governor",
                                      "/victim/scaling_governor", "sys/devices/system/cpu/cpu0/online"])
def test_a_journal_cannot_name_files_that_are_no_controls(root, tmp_path, relative):
    victim = tmp_path / "victim/scaling_governor"
    victim.parent.mkdir()
    victim.write_text("untouched")
    online = root / "sys/devices/system/cpu/cpu0/online"
    online.parent.mkdir(parents=True)
    online.write_text("1")
    (tmp_path / "state-journal.json").write_text(json.dumps(
        {"boot_id": "boot-1", "root": str(root), "before": [[relative, "0"]]}))
    assert keeper(root).restore() == []
    assert victim.read_text() == "untouched"
    assert online.read_text() == "1"


def test_the_journal_of_another_root_is_not_applied_here(root, tmp_path):
    other = make_root(tmp_path / "other")
    StateKeeper(other, tmp_path / "state-journal.json", "boot-1").apply([("governor", "performance")])
    assert keeper(root).restore() == []
    assert values(root) == ["powersave", "powersave"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["governor", "scaling_max_freq_khz", "unknown"]),
                          st.text("abc019", min_size=1, max_size=6)), max_size=5))
def test_whatever_was_set_restore_gives_back_what_was_there(tmp_path_factory, wanted):
    root = make_root(tmp_path_factory.mktemp("state") / "root")
    state = keeper(root)
    state.apply(wanted)
    assert state.restore() == []
    assert values(root) == ["powersave", "powersave"]
    assert values(root, "scaling_max_freq") == ["1800000", "1800000"]
    assert list(root.parent.iterdir()) == [root]
