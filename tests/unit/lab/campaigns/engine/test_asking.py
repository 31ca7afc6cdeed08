"""Asking a device's worker for something: its answer, its error, or nobody there."""

from __future__ import annotations

import pytest

from lab.campaigns.calls import Call
from lab.domain.device import Device
from lab.errors import LabError
from lab.store.codec import to_text
from lab.wiring import queue
from tests.support.campaigns import real_services


@pytest.fixture
def services(lab_home):
    with real_services(lab_home) as made:
        yield made


def asking(services, verb, name="x"):
    device = Device(name="board", url="local", profile="x86-host", agent_host="bench")
    profile, _ = services.profile(device.profile)
    return Call(name="action", id=f"action:{verb}:{name}", queue="device", device=device.name, agent_host="bench",
                args=[verb, to_text(device), to_text(profile), {}])


def test_nobody_there_is_said_in_time_and_the_wish_is_withdrawn(services):
    """Else the device would be switched off days later, when its worker is started."""
    with queue.open_engine(services) as engine:
        with pytest.raises(LabError, match=r"board did not answer within 0 s.*--agent-host bench"):
            engine.ask(asking(services, "facts"), 0.3)
        assert engine._client.list_workflows(workflow_id_prefix="action:", status="CANCELLED")


def test_the_worker_answers_or_says_why_not(services, tmp_path):
    """An answer is JSON; a wrong verb comes back as an error with its text."""
    home = tmp_path / "apart"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_ENGINE_URL", f"sqlite:///{services.home / 'engine.db'}")
        with queue.work_apart(home, "devices-bench", ["devices:bench"]), queue.open_engine(services) as engine:
            assert "cpu_count" in engine.ask(asking(services, "facts"), 60.0)
            with pytest.raises(LabError, match="dance"):
                engine.ask(asking(services, "dance"), 60.0)
