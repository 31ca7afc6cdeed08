"""The bounded queue between the reader thread and a waiting caller."""

import threading
import time

import pytest

from agents.wire.messages import Message, MessageType
from lab.devices.inbox import MAX_QUEUED_BYTES, Arrival, Inbox
from lab.errors import ConnectionLost
from lab.transports.deadlines import deadline_after


def arrival(body=b"", at_ns=0):
    return Arrival(Message(MessageType.DATA, 1, {}, body), at_ns)


def test_arrivals_come_out_in_order_then_the_failure():
    inbox = Inbox()
    inbox.put(arrival(b"1"))
    inbox.put(arrival(b"2"))
    inbox.fail(ConnectionLost("gone"))
    inbox.fail(ConnectionLost("a later one"))
    assert [inbox.get(deadline_after(5)).message.body for _ in range(2)] == [b"1", b"2"]
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="gone"):
            inbox.get(deadline_after(5))


def test_nothing_by_the_deadline_is_none():
    inbox = Inbox()
    assert inbox.get(deadline_after(0.01)) is None
    assert not inbox.peek()


def test_peek_sees_arrivals_and_failures():
    inbox, failed = Inbox(), Inbox()
    inbox.put(arrival())
    failed.fail(ConnectionLost("gone"))
    assert inbox.peek()
    assert failed.peek()


def _blocked_writer(inbox):
    """A thread that wants to put one more arrival into a full inbox."""
    for _ in range(3):
        inbox.put(arrival(bytes(MAX_QUEUED_BYTES // 2)))
    thread = threading.Thread(target=inbox.put, args=(arrival(b"last"),), daemon=True)
    thread.start()
    time.sleep(0.02)
    assert thread.is_alive()
    return thread


def test_a_full_inbox_holds_up_the_reader_until_someone_reads():
    inbox = Inbox()
    thread = _blocked_writer(inbox)
    bodies = [inbox.get(deadline_after(5)).message.body for _ in range(4)]
    thread.join(5)
    assert bodies[-1] == b"last"


@pytest.mark.parametrize("end", ["close", "fail"])
def test_a_full_inbox_lets_go_at_the_end(end):
    inbox = Inbox()
    thread = _blocked_writer(inbox)
    if end == "close":
        inbox.close()
    else:
        inbox.fail(ConnectionLost("gone"))
    thread.join(5)
    assert not thread.is_alive()


def test_a_closed_inbox_keeps_nothing():
    inbox = Inbox()
    inbox.put(arrival(b"1"))
    inbox.close()
    inbox.put(arrival(b"2"))
    assert not inbox.peek()
