"""One holder at a time, a fence that only grows, and a reboot that frees the device."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import Refused
from agents.lease import TTL_MAX_S, LeaseFile

_S = 1_000_000_000


class FakeClock:
    """Time that a test moves."""

    def __init__(self):
        self.now_ns = 1_000 * _S

    def __call__(self):
        return self.now_ns

    def pass_s(self, seconds):
        self.now_ns += int(seconds * _S)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def lease(tmp_path, clock):
    return LeaseFile(tmp_path, "boot-1", clock)


class refused:  # noqa: N801  reads like pytest.raises
    """Context manager: the block must raise Refused with this code."""

    def __init__(self, code):
        self.code = code
        self.error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _traceback):
        assert isinstance(error, Refused), f"expected a refusal, got {error!r}"
        assert error.code == self.code
        self.error = error
        return True


def test_a_held_device_says_by_whom_and_for_how_long(lease):
    lease.acquire("ann", 60)
    with refused("held") as refusal:
        lease.acquire("bob", 60)
    assert refusal.error.extra == {"owner": "ann", "expires_in_s": 60.0}
    assert refusal.error.retryable


def test_an_expired_lease_can_be_taken_and_its_fence_is_stale(lease, clock):
    old = lease.acquire("ann", 60)
    clock.pass_s(61)
    with refused("fenced"):
        lease.check(old)
    new = lease.acquire("bob", 60)
    assert new > old
    for use in (lease.check, lambda fence: lease.renew(fence, 60), lambda fence: lease.cover(fence, 1), lease.release):
        with refused("fenced"):
            use(old)
    lease.check(new)


def test_an_expired_lease_can_be_renewed_while_nobody_else_came(lease, clock):
    fence = lease.acquire("ann", 60)
    clock.pass_s(61)
    lease.renew(fence, 60)
    lease.check(fence)


def test_a_released_device_is_free_and_the_old_fence_is_stale(lease):
    fence = lease.acquire("ann", 60)
    lease.release(fence)
    with refused("fenced"):
        lease.check(fence)
    with refused("fenced"):
        lease.renew(fence, 60)
    assert lease.acquire("bob", 60) > fence


def test_a_reboot_frees_the_device_but_the_fence_goes_on(lease, tmp_path, clock):
    fence = lease.acquire("ann", 60)
    after = LeaseFile(tmp_path, "boot-2", clock)
    with refused("fenced"):
        after.check(fence)
    assert after.acquire("bob", 60) > fence


def test_another_agent_process_sees_the_same_lease(lease, tmp_path, clock):
    fence = lease.acquire("ann", 60)
    other = LeaseFile(tmp_path, "boot-1", clock)
    other.check(fence)
    with refused("held"):
        other.acquire("bob", 60)


def test_the_same_owner_keeps_the_fence_and_gets_more_time(lease, clock):
    fence = lease.acquire("ann", 60)
    clock.pass_s(50)
    assert lease.acquire("ann", 60) == fence
    clock.pass_s(50)
    lease.check(fence)
    assert lease.acquire("ann", 1) == fence
    clock.pass_s(9)
    lease.check(fence)  # asking for less shortens nothing


def test_the_same_owner_after_expiry_gets_a_new_fence(lease, clock):
    fence = lease.acquire("ann", 60)
    clock.pass_s(61)
    assert lease.acquire("ann", 60) > fence
    with refused("fenced"):
        lease.check(fence)


def test_a_kicked_holder_is_turned_away_with_every_use(lease):
    old = lease.acquire("ann", 600)
    new, holder = lease.kick("bob", 60)
    assert (new > old, holder) == (True, "ann")
    for use in (lease.check, lambda fence: lease.renew(fence, 60), lambda fence: lease.cover(fence, 1), lease.release):
        with refused("fenced"):
            use(old)
    lease.check(new)
    with refused("held"):
        lease.acquire("ann", 60)


def test_kicking_a_free_device_or_oneself_kicks_nobody(lease, clock):
    mine, holder = lease.kick("bob", 60)
    assert holder is None
    assert lease.kick("bob", 60) == (mine, None)
    lease.release(mine)
    clock.pass_s(61)
    assert lease.kick("ann", 60) == (mine + 1, None)


def test_cover_lengthens_but_never_shortens(lease, clock):
    fence = lease.acquire("ann", 60)
    lease.cover(fence, 10 * _S)
    clock.pass_s(59)
    lease.check(fence)
    lease.cover(fence, 100 * _S)
    clock.pass_s(99)
    lease.check(fence)
    clock.pass_s(2)
    with refused("fenced"):
        lease.check(fence)


@pytest.mark.parametrize("ttl_s", [0, -1, TTL_MAX_S + 1, float("nan")])
def test_a_time_that_makes_no_sense_is_refused(lease, ttl_s):
    with refused("bad_request"):
        lease.acquire("ann", ttl_s)
    lease.acquire("bob", 1)  # and nothing was taken


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"fence": "x", "owner": null, "expires_ns": 0, "boot_id": ""}'])
def test_a_damaged_file_is_an_error_not_a_fence_that_starts_over(lease, tmp_path, text):
    (tmp_path / "lease.json").write_text(text)
    with refused("lease_unreadable"):
        lease.acquire("ann", 60)
    assert (tmp_path / "lease.json").read_text() == text


def test_what_is_stored_names_owner_and_boot(lease, tmp_path):
    fence = lease.acquire("ann", 60)
    stored = json.loads((tmp_path / "lease.json").read_text())
    assert stored == {"fence": fence, "owner": "ann", "expires_ns": 1_060 * _S, "boot_id": "boot-1"}


STEPS = st.lists(st.tuples(st.sampled_from(["acquire", "kick", "release", "wait", "reboot"]), st.integers(0, 3)),
                 max_size=25)


@settings(deadline=None)
@given(steps=STEPS)
def test_whatever_happens_fences_grow_and_at_most_one_is_valid(tmp_path_factory, steps):
    folder, clock, boot, fences = tmp_path_factory.mktemp("lease"), FakeClock(), 0, []
    holders = {}
    lease = LeaseFile(folder, "boot-0", clock)
    for action, number in steps:
        try:
            if action == "acquire":
                fence = lease.acquire(f"owner-{number}", 60)
                assert holders.setdefault(fence, number) == number  # never two owners under one fence
                fences += [fence] if fence not in fences else []
            elif action == "kick":
                fence = lease.kick(f"owner-{number}", 60).fence
                assert holders.setdefault(fence, number) == number
                fences += [fence] if fence not in fences else []
                assert is_valid(lease, fence)
            elif action == "release" and fences:
                lease.release(fences[-1 - number % len(fences)])
            elif action == "wait":
                clock.pass_s(40)
            elif action == "reboot":
                boot += 1
                lease = LeaseFile(folder, f"boot-{boot}", clock)
        except Refused:
            pass
        assert fences == sorted(set(fences))
        assert sum(is_valid(lease, fence) for fence in fences) <= 1


def is_valid(lease, fence):
    try:
        lease.check(fence)
    except Refused:
        return False
    return True
