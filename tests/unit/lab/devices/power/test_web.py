"""Small requests: only http and https, nothing followed, nothing endless."""

from __future__ import annotations

import socket
import threading

import pytest

from lab.devices.power.login import Login
from lab.devices.power.web import ANSWER_CAP_BYTES, get_json, send
from lab.errors import PowerControlError
from tests.support.power_devices import Fixed, closed_port


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "data:,x", "127.0.0.1", "", "http", "//x"])
def test_only_http_and_https(url):
    """urllib itself would read files."""
    with pytest.raises(ValueError, match="neither http nor https"):
        send(url)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("place", ["/elsewhere", "file:///etc/passwd", "http://127.0.0.1:1/"])
def test_a_redirect_is_not_followed(status, place):
    """It would carry a password to wherever it points."""
    with Fixed(status, b"moved", {"Location": place}) as server:
        assert send(server.url).status == status
        with pytest.raises(PowerControlError, match=f"expected HTTP status 200, got {status}, got 'moved'"):
            get_json(server.url, "plug")
    assert server.requests == ["/", "/"]


def test_a_large_answer_is_not_read():
    """A plug's answer is a few hundred bytes."""
    with Fixed(body=b" " * (ANSWER_CAP_BYTES + 1)) as server:
        with pytest.raises(OSError, match="larger than"):
            send(server.url)
        with pytest.raises(PowerControlError, match="larger than"):
            get_json(server.url, "plug")


@pytest.mark.parametrize(("status", "transient"), [(500, False), (502, True), (503, True), (404, False)])
def test_a_status_says_whether_a_retry_can_help(status, transient):
    """A plug that boots answers 503."""
    with Fixed(status, b"\x1b[2Jsorry") as server, pytest.raises(PowerControlError, match="'sorry'") as caught:
        get_json(server.url, "plug")
    assert caught.value.transient is transient


@pytest.mark.parametrize("body", [
    b"", b"<html>", b"[1]", b"\xff", b"[" * 5000, b"null", b'{"a": ' + b"9" * 5000 + b"}"])
def test_an_answer_that_is_no_object(body):
    """Also JSON that Python's parser gives up on."""
    with Fixed(body=body) as server, pytest.raises(PowerControlError, match="plug: expected a JSON object"):
        get_json(server.url, "plug")


def test_nobody_there_may_pass():
    """The plug may be booting."""
    with pytest.raises(PowerControlError, match=r"plug: expected an answer within 10 s, got none .*power and network"
                       ) as caught:
        get_json(f"http://127.0.0.1:{closed_port()}/", "plug")
    assert caught.value.transient


@pytest.mark.parametrize("said", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
def test_an_answer_that_breaks_off_or_is_no_http(said):
    """A server of another kind, or a plug that loses power."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            link, _ = listener.accept()
            with link:
                link.recv(65536)
                link.sendall(said)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(PowerControlError, match="plug: expected") as caught:
            get_json(f"http://127.0.0.1:{listener.getsockname()[1]}/", "plug")
        thread.join(5)
    assert caught.value.transient


def test_a_server_that_keeps_the_line_open_has_answered():
    """Its stated length counts; the end of the connection never comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ending = threading.Event()

        def serve():
            link, _ = listener.accept()
            with link:
                link.recv(65536)
                link.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}')
                ending.wait(20)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert get_json(f"http://127.0.0.1:{listener.getsockname()[1]}/", "plug", timeout_s=10) == {"a": 1}
        ending.set()
        thread.join(5)


def test_a_server_that_stays_silent_does_not_hold_the_lab():
    """The deadline ends the wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(
            PowerControlError, match=r"within 0.2 s, got none"):
        get_json(f"http://127.0.0.1:{listener.getsockname()[1]}/", "plug", timeout_s=0.2)


def test_a_server_that_drips_does_not_hold_the_lab():
    """Every byte comes in time, the whole does not."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def drip():
            link, _ = listener.accept()
            with link:
                link.recv(65536)
                link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while not ending.wait(0.02):
                    try:
                        link.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(PowerControlError, match="did not end in time"):
            get_json(f"http://127.0.0.1:{listener.getsockname()[1]}/", "plug", timeout_s=0.3)
        ending.set()
        thread.join(5)


def test_a_login_is_sent_only_when_asked_for():
    """Who does not ask does not get it."""
    with Fixed() as server:
        assert get_json(server.url, "plug", Login("admin", "hunter2")) == {}
        assert server.requests == ["/"]


@pytest.mark.parametrize("challenge", ["", "Bearer", 'Digest realm="x", nonce="1", algorithm=SHA-512-256'])
def test_a_challenge_that_is_not_spoken(challenge):
    """Permanent, with a way out."""
    with Fixed(401, b"", {"WWW-Authenticate": challenge}) as server, pytest.raises(
            PowerControlError, match=r"not spoken here: expected .*, got .*use power kind `command`") as caught:
        get_json(server.url, "plug", Login("admin", "hunter2"))
    assert "hunter2" not in str(caught.value)


def test_a_user_that_no_header_can_hold_is_an_error_of_the_switch():
    """Headers are Latin-1."""
    with Fixed(401, b"", {"WWW-Authenticate": 'Digest realm="x", nonce="1"'}) as server, pytest.raises(
            PowerControlError, match="plug"):
        get_json(server.url, "plug", Login("ж", "x"))
