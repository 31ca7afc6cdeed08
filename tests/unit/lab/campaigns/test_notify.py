"""Somebody is told, or the reason is returned; a campaign never fails because of it."""

from __future__ import annotations

import json
import shlex
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.campaigns.notify import EVENTS, NotifySettings, event_text, notify, settings_from_env
from tests.support.power_devices import Fixed, closed_port, write_script

EVENT = {"event": "partial", "campaign": "sweep", "campaign_id": "c1", "reason": "1 of 8 cells have no result"}
TEXT = "Campaign sweep: partial. 1 of 8 cells have no result"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    """Loopback is reached directly, whatever proxy this machine uses."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def keeper(tmp_path):
    """A command that keeps what it is given, as `kept` beside it."""
    return write_script(tmp_path / "tell me",
                        f"#!/bin/sh\ncat > '{tmp_path}/kept'\necho \"$@\" > '{tmp_path}/arguments'\n")


def test_nothing_is_set():
    """The usual case."""
    assert settings_from_env({}) is None
    assert settings_from_env({"LAB_NOTIFY_COMMAND": " ", "LAB_NOTIFY_URL": ""}) is None


def test_settings_come_from_the_environment_and_are_not_shown():
    """A webhook's address is a password."""
    settings = settings_from_env({"LAB_NOTIFY_COMMAND": "tell --token=hunter2", "LAB_NOTIFY_URL": "https://x/hunter2"})
    assert settings == NotifySettings(command="tell --token=hunter2", url="https://x/hunter2")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_a_command_gets_the_event_on_its_input(tmp_path, keeper, kind):
    """JSON with a line for people; its arguments are the user's own."""
    settings = NotifySettings(command=f"{shlex.quote(str(keeper))} --to 'my desk'")
    assert notify(settings, {**EVENT, "event": kind}) is None
    assert json.loads((tmp_path / "kept").read_text()) == {
        **EVENT, "event": kind, "text": TEXT.replace("partial", kind)}
    assert (tmp_path / "arguments").read_text() == "--to my desk\n"


def test_a_webhook_gets_the_event_as_a_post():
    """Any status from 200 to 299 is well."""
    with Fixed(204, b"") as server:
        assert notify(NotifySettings(url=f"{server.url}/hook?x=1"), EVENT) is None
    (kind, body), = server.bodies
    assert kind == "application/json"
    assert json.loads(body) == {**EVENT, "text": TEXT}
    assert server.requests == ["/hook?x=1"]


def test_both_are_told_and_one_failure_does_not_stop_the_other(tmp_path, keeper):
    """The reason names the one that failed."""
    with Fixed(500, b"no") as server:
        reason = notify(NotifySettings(command=shlex.quote(str(keeper)), url=server.url), EVENT)
        assert (tmp_path / "kept").exists()
        assert reason is not None
        assert "LAB_NOTIFY_URL" in reason
        assert "LAB_NOTIFY_COMMAND" not in reason
        both = notify(NotifySettings(command="false", url=server.url), EVENT)
    assert len(server.bodies) == 2
    assert both is not None
    assert both.index("LAB_NOTIFY_COMMAND") < both.index("LAB_NOTIFY_URL")


@pytest.mark.parametrize("event", [{}, {"event": "cancelled"}, {"event": "measuring"}, {"event": None}])
def test_other_events_are_passed_over(tmp_path, keeper, event):
    """Nobody wants a message per block."""
    assert notify(NotifySettings(command=shlex.quote(str(keeper))), event) is None
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(("command", "words"), [
    ("'unpaired", ["paired quotes", "Correct the variable"]),
    ("/nonexistent/tell --token=hunter2", ["/nonexistent/tell", "No such file", "by hand"]),
    ("sh -c 'echo hello >&2; exit 4' hunter2", ["expected exit status 0, got 4 and 'hello'"]),
    ("false", ["got 1. Try"]),
])
def test_a_command_that_fails_is_a_reason(command, words):
    """What, expected, got, next step; no argument is shown."""
    reason = notify(NotifySettings(command=command), EVENT)
    assert reason is not None
    assert [word for word in ("LAB_NOTIFY_COMMAND", *words) if word not in reason] == []
    assert "hunter2" not in reason


def test_a_command_that_hangs_is_ended():
    """A campaign waits for nobody's desktop."""
    reason = notify(NotifySettings(command="sleep 60", timeout_s=0.2), EVENT)
    assert reason is not None
    assert "did not end within 0.2 s" in reason


@pytest.mark.parametrize("url", ["file:///hunter2", "hunter2", "http://", "ftp://x/hunter2", "http://[::1/hunter2",
                                 "http://x:99999/hunter2", "http://é/hunter2"])
def test_an_address_that_cannot_be_used_is_a_reason(url):
    """And is not repeated."""
    reason = notify(NotifySettings(url=url), EVENT)
    assert reason is not None
    assert "expected an http or https address" in reason
    assert "hunter2" not in reason


def test_a_refusal_names_the_host_only():
    """The rest of a webhook's address is its password."""
    with Fixed(403, b"\x1b[1mno_such_hook") as server:
        reason = notify(NotifySettings(url=f"{server.url}/services/hunter2"), EVENT)
    assert reason is not None
    assert "http://127.0.0.1: expected HTTP status 200, got 403 and 'no_such_hook'" in reason
    assert "hunter2" not in reason


def test_a_redirect_is_a_refusal():
    """An event may hold what is nobody else's business."""
    with Fixed(200) as elsewhere, Fixed(307, b"", {"Location": elsewhere.url}) as server:
        reason = notify(NotifySettings(url=server.url), EVENT)
        assert elsewhere.requests == []
    assert reason is not None
    assert "redirects are not followed" in reason


def test_nobody_at_the_address_is_a_reason():
    """Refused, or silent until the deadline."""
    refused = notify(NotifySettings(url=f"http://127.0.0.1:{closed_port()}/x"), EVENT)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = notify(NotifySettings(url=f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.2), EVENT)
    assert refused is not None
    assert "no answer from http://127.0.0.1" in refused
    assert silent is not None
    assert "timed out" in silent


def test_a_webhook_is_reached_through_the_proxy_of_the_machine(monkeypatch):
    """As every other program there does it; the proxy gets the whole address."""
    monkeypatch.setenv("no_proxy", "")
    with Fixed() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert notify(NotifySettings(url="http://hooks.invalid/x"), EVENT) is None
    assert proxy.requests == ["http://hooks.invalid/x"]


def test_a_proxy_of_an_unknown_kind_is_a_reason(monkeypatch):
    """urllib speaks no SOCKS."""
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    reason = notify(NotifySettings(url="http://hooks.invalid/x"), EVENT)
    assert reason is not None
    assert "no answer from http://hooks.invalid" in reason


def test_an_event_that_is_no_json_is_a_reason(tmp_path, keeper):
    """A mistake of the lab's own does not end a campaign either."""
    reason = notify(NotifySettings(command=shlex.quote(str(keeper))), {**EVENT, "extra": object()})
    assert reason is not None
    assert "plain JSON" in reason
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(("event", "text"), [
    ({"event": "done", "campaign": "sweep"}, "Campaign sweep: done."),
    ({"event": "failed", "campaign_id": "c1", "reason": "pi5:\n\x1b[31mgone"}, "Campaign c1: failed. pi5: gone"),
    ({"event": "done"}, "Campaign ?: done."),
])
def test_the_line_for_people(event, text):
    """One clean line, whatever is missing."""
    assert event_text(event) == text


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="/"), max_size=30))
def test_no_settings_raise(command, host):
    """Whatever the variables hold: a word of it is no program here, and no host."""
    settings = NotifySettings(command=f"/nonexistent/{command}", url=f"http://[{host}", timeout_s=0.1)
    reason = notify(settings, EVENT)
    assert reason is not None
    assert "LAB_NOTIFY_COMMAND" in reason
