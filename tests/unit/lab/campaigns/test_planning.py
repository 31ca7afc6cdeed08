"""Cells, balanced blocks, and the plans agents execute."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.wire.plan import plan_from_json, plan_to_json
from lab.campaigns.planning import (
    CANDIDATES_MAX,
    block_id_of,
    block_plan,
    expand,
    groups_of,
    order_block,
    williams_rows,
    window_deadline_ns,
)
from lab.domain.block import cell_id_of
from lab.domain.campaign import PROTOCOLS, Campaign, Load, Settings, StepSpec, Technique
from lab.domain.device import DeviceProfile, RuntimeLimits
from lab.errors import ConfigError

SHA = "a" * 64
BOARD = DeviceProfile(name="board", title="A board", transport="local")
PROFILES = {"one": (BOARD, "1" * 64), "two": (BOARD, "2" * 64)}


def technique(index, name=None):
    return Technique(name=name or f"t{index}", steps=(StepSpec(name="prune", params=(("ratio", index / 100),)),))


def campaign(candidates=3, **changes):
    values = {"name": "c", "owner": "me", "workload": "digits", "seeds": (0,), "devices": ("one",),
              "techniques": (Technique(name="baseline"), *(technique(i) for i in range(1, candidates + 1))),
              "settings": (Settings(),), "protocol": PROTOCOLS["quick"]}
    return Campaign(**(values | changes))


def cells_of(candidates=3, **changes):
    return expand(campaign(candidates, **changes), SHA, PROFILES)


def names(cells):
    return [cell.technique.name for cell in cells]


def test_expand_is_the_cross_product_with_the_baseline_first():
    """Device by device, setting by setting, technique by technique, seed by seed; one baseline each."""
    cells = cells_of(2, seeds=(3, 4), devices=("one", "two"), settings=(Settings(), Settings(threads=2)))
    assert len(cells) == 2 * 2 * (1 + 2 * 2)
    assert len({cell.id for cell in cells}) == len(cells)
    assert [(cell.technique.name, cell.seed) for cell in cells[:5]] == [
        ("baseline", 0), ("t1", 3), ("t1", 4), ("t2", 3), ("t2", 4)]
    assert [(cell.device, cell.settings.threads) for cell in cells[::5]] == [
        ("one", 1), ("one", 2), ("two", 1), ("two", 2)]
    assert {(cell.workload, cell.workload_sha256, cell.artifact_sha256) for cell in cells} == {("digits", SHA, None)}


def test_a_campaign_without_baseline_gets_one():
    """Nothing is measured without something to compare it with."""
    assert names(expand(campaign(techniques=(technique(1),)), SHA, PROFILES)) == ["baseline", "t1"]


def test_expand_names_what_is_wrong():
    """Unknown device, too many threads, the same steps twice."""
    with pytest.raises(ConfigError, match=r"'three' is not registered \(known: one, two\).*lab devices add three"):
        cells_of(devices=("three",))
    limited = {"one": (replace(BOARD, limits=RuntimeLimits(threads_max=4)), SHA)}
    assert expand(campaign(settings=(Settings(threads=4),)), SHA, limited)
    with pytest.raises(ConfigError, match=r"settings.threads: one \(A board\) runs at most 4 threads, got 5"):
        expand(campaign(settings=(Settings(threads=5),)), SHA, limited)
    with pytest.raises(ConfigError, match="other and t1 are the same cell on one"):
        cells_of(techniques=(technique(1), technique(1, "other")))


IDENTITY = {
    "workload_sha256": SHA, "technique": technique(1), "seed": 0, "device": "one", "profile_sha256": "1" * 64,
    "settings": Settings(), "protocol": PROTOCOLS["quick"],
}


@pytest.mark.parametrize("change", [
    {"workload_sha256": "b" * 64}, {"technique": technique(2)}, {"seed": 1}, {"device": "two"},
    {"technique": Technique(name="t1", steps=technique(1).steps * 2)},
    {"profile_sha256": "2" * 64}, {"settings": Settings(threads=2)}, {"settings": Settings(batch=2)},
    {"settings": Settings(runtime="other")}, {"settings": Settings(device_state=(("governor", "performance"),))},
    {"settings": Settings(load=Load(kind="paced", rate_hz=10.0, deadline_ns=100))},
    *({"protocol": replace(PROTOCOLS["quick"], **{field: value})} for field, value in [
        ("preset", "standard"), ("window_ns", 1), ("warmup_ns", 1), ("idle_ns", 1), ("inferences_min", 1),
        ("sample_rate_hz", 1.0)]),
])
def test_cell_id_follows_everything_that_defines_a_measurement(change):
    """Each field of the identity makes another cell."""
    assert cell_id_of(**(IDENTITY | change)) != cell_id_of(**IDENTITY)


@pytest.mark.parametrize("change", [
    {"technique": technique(1, "another name")},
    *({"protocol": replace(PROTOCOLS["quick"], **{field: value})} for field, value in [
        ("target_ci_ratio", 0.5), ("blocks_min", 9), ("blocks_max", 99), ("budget_ns", 5), ("order_seed", 7)]),
])
def test_cell_id_ignores_names_and_how_often_it_is_measured(change):
    """More blocks of the same cell are still that cell."""
    assert cell_id_of(**(IDENTITY | change)) == cell_id_of(**IDENTITY)


@given(st.permutations([("ratio", 0.5), ("round_to", 8), ("norm", "l2")]))
def test_cell_id_ignores_the_order_of_parameters(params):
    """YAML mappings have no order."""
    def cell_id(pairs):
        steps = (StepSpec(name="prune", params=tuple(pairs)),)
        return cell_id_of(**(IDENTITY | {"technique": Technique(name="t", steps=steps)}))

    assert cell_id(params) == cell_id(sorted(params))


def test_cell_ids_do_not_depend_on_the_campaigns_name_or_owner():
    """Two people asking the same thing share the measurement."""
    assert [cell.id for cell in cells_of()] == [cell.id for cell in cells_of(name="other", owner="you")]
    assert cells_of(seeds=(5,))[0].id == cells_of(seeds=(6,))[0].id


def blocks_for(cells, number, asked):
    return tuple(order_block(group, number, asked.protocol.order_seed) for group in groups_of(cells))


@given(st.integers(0, 20), st.integers(0, 200), st.integers(0, 2**31 - 1))
def test_every_group_is_a_small_block_with_the_baseline_once(candidates, number, seed):
    """Each candidate is in exactly one block of a number, and every block can be compared."""
    asked = campaign(candidates, protocol=replace(PROTOCOLS["quick"], order_seed=seed))
    cells = expand(asked, SHA, PROFILES)
    blocks = blocks_for(cells, number, asked)
    assert all(names(block).count("baseline") == 1 for block in blocks)
    assert all(len(block) <= 1 + CANDIDATES_MAX for block in blocks)
    sizes = [len(block) for block in blocks]
    assert max(sizes) - min(sizes) <= 1
    counts = Counter(name for block in blocks for name in names(block))
    assert all(counts[f"t{index}"] == 1 for index in range(1, candidates + 1))
    assert blocks_for(cells, number, asked) == blocks


def test_groups_start_with_the_baseline_and_never_mix_settings():
    """Each setting is compared with its own baseline."""
    cells = cells_of(7, settings=(Settings(), Settings(threads=2)))
    groups = groups_of(cells)
    assert [names(group) for group in groups[:2]] == [["baseline", "t1", "t3", "t5", "t7"],
                                                      ["baseline", "t2", "t4", "t6"]]
    assert [{cell.settings.threads for cell in group} for group in groups] == [{1}, {1}, {2}, {2}]


def test_a_group_without_baseline_is_refused():
    """It could not be compared with anything."""
    with pytest.raises(ConfigError, match="expected one baseline cell, got 0"):
        groups_of(cells_of()[1:])


@given(st.integers(2, 7), st.integers(0, 2**31 - 1), st.integers(0, 5))
def test_one_cycle_of_blocks_is_balanced(size, seed, cycle):
    """Orders differ, and every cell stands at every position, and follows every other, equally often."""
    cells = cells_of(size - 1)
    length = len(williams_rows(size))
    orders = [order_block(cells, cycle * length + index, seed) for index in range(length)]
    ids = [[cell.id for cell in order] for order in orders]
    assert len({tuple(order) for order in ids}) == length
    for position in range(size):
        assert set(Counter(order[position] for order in ids).values()) == {length // size}
    pairs = Counter(pair for order in ids for pair in itertools.pairwise(order))
    assert len(pairs) == size * (size - 1)
    assert len(set(pairs.values())) == 1


@given(st.integers(2, 7), st.integers(0, 300), st.integers(0, 2**31 - 1), st.randoms())
def test_order_is_a_function_of_seed_number_and_cells(size, number, seed, shuffler):
    """The order in which cells are given plays no part; a repeated call gives the same."""
    cells = list(cells_of(size - 1))
    order = order_block(cells, number, seed)
    shuffler.shuffle(cells)
    assert order_block(cells, number, seed) == order
    assert sorted(names(order)) == sorted(names(cells))


@given(st.integers(0, 2**31 - 1), st.integers(0, 40))
def test_consecutive_blocks_of_a_cycle_differ(seed, number):
    """No technique always comes after the same one."""
    cells = cells_of(5)
    length = len(williams_rows(6))
    start = number * length
    orders = {tuple(names(order_block(cells, start + index, seed))) for index in range(length)}
    assert len(orders) == length


def test_other_seeds_give_other_orders():
    """Two campaigns need not share an order by accident of design."""
    cells = cells_of(6)
    orders = {tuple(names(order_block(cells, 1, seed))) for seed in range(20)}
    assert len(orders) > 15


@pytest.mark.parametrize(("size", "rows"), [(1, 1), (2, 2), (3, 6), (4, 4), (7, 14)])
def test_williams_rows_are_permutations(size, rows):
    """Twice as many for odd sizes, as balance needs it there."""
    made = williams_rows(size)
    assert len(made) == rows
    assert all(sorted(row) == list(range(size)) for row in made)


def make_plan(order, **changes):
    values = {"campaign_id": "camp", "number": 2, "attempt": 1, "inputs": {1: "f" * 64}, "profile": BOARD,
              "artifacts": {cell.id: f"{index:064x}" for index, cell in enumerate(order)}}
    return block_plan(order, **(values | changes))


def test_block_plan_says_what_the_agent_needs_and_is_one_it_accepts():
    """Cells become windows in order; the plan survives the agent's own check."""
    state = (("governor", "performance"),)
    load = Load(kind="paced", rate_hz=30.0, deadline_ns=5_000_000)
    order = blocks_for(cells_of(settings=(Settings(threads=2, load=load, device_state=state),)), 2, campaign())[0]
    plan = make_plan(order)
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan
    assert [window.cell_id for window in plan.windows] == [cell.id for cell in order]
    assert [window.artifact_sha256 for window in plan.windows] == [f"{index:064x}" for index in range(4)]
    first = plan.windows[0]
    assert (first.inputs_sha256, first.threads, first.batch, first.runtime) == ("f" * 64, 2, 1, "onnx_runtime")
    assert (first.warmup_ns, first.length_ns, first.inferences_min) == (200_000_000, 500_000_000, 20)
    assert (first.load.kind, first.load.rate_hz, first.load.deadline_ns) == ("paced", 30.0, 5_000_000)
    assert (plan.number, plan.attempt, plan.idle_ns, plan.sample_rate_hz) == (2, 1, 500_000_000, 50.0)
    assert plan.state == state


def test_memory_is_not_sampled_by_a_probe():
    """The worker's peak memory is read once per window, not at a rate."""
    assert "memory" in BOARD.probes
    assert make_plan(cells_of()).probes == ("rapl", "hwmon_power", "thermal", "cpufreq")


def test_window_deadline_leaves_room_for_a_slow_board():
    """Three times the window and a minute to start."""
    assert window_deadline_ns(PROTOCOLS["standard"]) == 3 * 12_000_000_000 + 60_000_000_000
    assert make_plan(cells_of()).window_deadline_ns == window_deadline_ns(PROTOCOLS["quick"])


def test_without_a_stored_input_the_plan_has_none():
    """Another batch than the stored ones."""
    assert make_plan(cells_of(settings=(Settings(batch=8),))).windows[0].inputs_sha256 is None


def test_a_missing_artifact_is_named():
    """A block is not planned before its artifacts exist."""
    with pytest.raises(ConfigError, match=r"block 2 on one: no artifact for baseline, t1"):
        make_plan(cells_of(1), artifacts={})


@given(st.sampled_from(["camp", "other"]), st.sampled_from(["one", "two"]), st.integers(0, 500), st.integers(1, 3))
def test_block_ids_are_repeatable_and_differ_in_every_part(campaign_id, device, number, candidates):
    """A restarted controller finds its own block again, and never another's; attempts share one name."""
    cells = cells_of(candidates)
    made = block_id_of(campaign_id, device, number, cells)
    assert made == block_id_of(campaign_id, device, number, cells)
    others = [block_id_of(campaign_id + "x", device, number, cells),
              block_id_of(campaign_id, device + "x", number, cells),
              block_id_of(campaign_id, device, number + 1, cells),
              block_id_of(campaign_id, device, number, cells[:-1])]
    assert len({made, *others}) == 5
