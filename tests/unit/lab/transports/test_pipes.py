"""Streams over real child processes: what they promise when the child behaves, dawdles or dies."""

import os
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from lab.errors import ConnectionLost, TransportTimeout
from lab.transports.deadlines import deadline_after
from lab.transports.pipes import PipeStream

ECHO = "import os\nwhile d := os.read(0, 65536): os.write(1, d)"


def stream_of(code, **options):
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - the stream closes it
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        bufsize=0, **options)
    return PipeStream(process, errors), process


def receive(stream, size=100, seconds=30.0):
    buffer = bytearray(size)
    return bytes(buffer[:stream.recv_into(memoryview(buffer), deadline_after(seconds))])


def send_all(stream, data, seconds=30.0):
    view = memoryview(data)
    while view:
        view = view[stream.send(view, deadline_after(seconds)):]


def test_carries_bytes_both_ways_and_ends_the_child():
    stream, process = stream_of(ECHO)
    send_all(stream, b"hello")
    assert receive(stream) == b"hello"
    stream.close()
    assert process.returncode == 0
    assert stream.ending() == "its process ended with status 0"


def test_big_uploads_while_another_thread_reads():
    stream, _ = stream_of(ECHO)
    data = os.urandom(5_000_000)
    sender = threading.Thread(target=send_all, args=(stream, data))
    sender.start()
    got = b""
    while len(got) < len(data):
        got += receive(stream, 1_000_000)
    sender.join()
    assert got == data
    stream.close()


def test_a_child_that_says_nothing_is_a_timeout():
    stream, _ = stream_of("import sys; sys.stdin.read()")
    with pytest.raises(TransportTimeout, match="sent nothing before the deadline"):
        receive(stream, seconds=0.05)
    stream.close()


def test_a_child_that_reads_nothing_is_a_timeout():
    stream, _ = stream_of("import time; time.sleep(60)")
    with pytest.raises(TransportTimeout, match="accepted no data before the deadline"):
        send_all(stream, bytes(8_000_000), seconds=0.3)
    stream.close()


def test_a_dead_childs_last_words_explain_the_end():
    stream, _ = stream_of("import sys; print('\\x1b[1mout of luck', file=sys.stderr); sys.exit(3)")
    assert receive(stream) == b""
    assert stream.ending() == "its process ended with status 3; stderr: out of luck"
    with pytest.raises(ConnectionLost, match=r"no longer reads; its process ended with status 3; stderr: out of luck"):
        send_all(stream, bytes(100))
    stream.close()
    assert stream.ending().endswith("stderr: out of luck")


def test_only_the_end_of_a_long_stderr_is_kept():
    stream, _ = stream_of("import sys; sys.stderr.write('x' * 3_000_000 + ' the point')")
    assert receive(stream) == b""
    assert stream.ending().endswith(" the point")
    assert len(stream.ending()) < 500
    stream.close()


def test_a_signal_is_named():
    stream, _ = stream_of("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert receive(stream) == b""
    assert stream.ending() == "its process ended by signal 9"
    stream.close()


def test_a_child_deaf_to_end_of_file_is_killed():
    stream, process = stream_of("import time\nwhile True: time.sleep(1)")
    stream.close()
    assert process.returncode == -9


def test_closing_wakes_a_waiting_reader_and_is_idempotent():
    stream, _ = stream_of(ECHO)
    seen = []

    def reader():
        try:
            seen.append(receive(stream))
        except ConnectionLost as error:
            seen.append(str(error))

    thread = threading.Thread(target=reader)
    thread.start()
    time.sleep(0.05)
    stream.close()
    stream.close()
    thread.join(10)
    assert seen in ([b""], ["the stream to the agent was closed here"])
    with pytest.raises(ConnectionLost, match="closed here"):
        receive(stream)
    with pytest.raises(ConnectionLost, match="closed here"):
        stream.send(memoryview(b"x"), deadline_after(1))


def test_a_grandchild_holding_the_pipe_does_not_hold_up_the_close():
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(8)'])"
    stream, process = stream_of(code)
    stream.close()
    assert process.returncode == 0


def test_a_process_without_pipes_is_refused():
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([sys.executable, "-c", ""])
        with pytest.raises(ValueError, match="pipes"):
            PipeStream(process, errors)
        process.wait()
