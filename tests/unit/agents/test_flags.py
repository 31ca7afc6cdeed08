"""A flag is plain data with a bounded text."""

from agents.flags import DEGRADED, flag


def test_a_flag_is_json_ready_and_its_detail_is_bounded():
    found = flag("state_not_set", DEGRADED, "x" * 1000)
    assert found == {"code": "state_not_set", "severity": "degraded", "detail": "x" * 500}
