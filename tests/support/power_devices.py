"""Switches that speak what real ones speak: HTTP plugs and a SCPI supply on loopback, a uhubctl as a script."""

import base64
import hashlib
import json
import re
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import parse_http_list, parse_keqv_list


class WebDevice:
    """A context manager: an HTTP server whose `answer(path, query, headers)` gives status, headers and body."""

    def __init__(self):
        device = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                device.requests.append(self.path)
                reply = device.answer(parts.path, {key: value[0] for key, value in parse_qs(parts.query).items()},
                                      self.headers, self.path)
                device.write(self, *reply)

            def do_POST(self):
                size = int(self.headers["Content-Length"])
                device.bodies.append((self.headers["Content-Type"], self.rfile.read(size)))
                self.do_GET()

            def log_message(self, *_):
                pass

        self.requests = []
        self.bodies = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, path, query, headers, target):
        raise NotImplementedError

    def write(self, handler, status, headers, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


class Fixed(WebDevice):
    """Answers every request alike."""

    def __init__(self, status=200, body=b"{}", headers=None):
        super().__init__()
        self.reply = (status, headers or {}, body)

    def answer(self, *_):
        return self.reply


class ShellyGen1(WebDevice):
    """`/shelly` and `/relay/N` as in the Gen1 reference; `password` asks for HTTP Basic, `stuck` holds the relay."""

    def __init__(self, *, password=None, stuck=None):
        super().__init__()
        self.password, self.stuck, self.is_on = password, stuck, True

    def answer(self, path, query, headers, _target):
        if path == "/shelly":
            return 200, {}, {"type": "SHPLG-S", "mac": "C45BBE78A8A4", "auth": self.password is not None,
                             "fw": "20191217-140757", "num_outputs": 1}
        good = "Basic " + base64.b64encode(f"admin:{self.password}".encode()).decode()
        if self.password and headers["Authorization"] != good:
            return 401, {"WWW-Authenticate": 'Basic realm="shelly"'}, b"401 Unauthorized"
        if path != "/relay/0":
            return 404, {}, b"Not Found"
        if "turn" in query:
            self.is_on = query["turn"] == "on"
        if self.stuck is not None:
            self.is_on = self.stuck
        return 200, {}, {"ison": self.is_on, "has_timer": False, "source": "http"}


class ShellyGen2(WebDevice):
    """`/shelly`, `Switch.Set` and `Switch.GetStatus` as in the Gen2 reference; a password means Digest, SHA-256."""

    realm = "shellyplusplugs-c45bbe78a8a4"

    def __init__(self, *, password=None, generation=2):
        super().__init__()
        self.password, self.generation, self.is_on = password, generation, True

    def answer(self, path, query, headers, target):
        if path == "/shelly":
            return 200, {}, {"id": self.realm, "model": "SNPL-00112EU", "gen": self.generation, "ver": "1.4.4",
                             "auth_en": self.password is not None, "auth_domain": self.realm}
        if self.password and not self._knows(headers["Authorization"] or "", target):
            challenge = f'Digest qop="auth", realm="{self.realm}", nonce="60dc2c69", algorithm=SHA-256'
            return 401, {"WWW-Authenticate": challenge}, b""
        if query.get("id") != "0":
            return 500, {}, {"code": -105, "message": f"Argument 'id', value {query.get('id')} not found!"}
        if path == "/rpc/Switch.Set":
            was_on, self.is_on = self.is_on, query["on"] == "true"
            return 200, {}, {"was_on": was_on}
        if path == "/rpc/Switch.GetStatus":
            return 200, {}, {"id": 0, "source": "HTTP_in", "output": self.is_on, "apower": 0.0, "voltage": 230.1}
        return 404, {}, {"code": 404, "message": f"No handler for {path}"}

    def _knows(self, header, target):
        """RFC 7616: the server computes the response from its own password."""
        given = parse_keqv_list(parse_http_list(header.removeprefix("Digest ")))
        first = sha256(f"admin:{self.realm}:{self.password}")
        second = sha256(f"GET:{target}")
        return given.get("uri") == target and given.get("response") == sha256(
            f"{first}:60dc2c69:{given.get('nc')}:{given.get('cnonce')}:auth:{second}")


class Tasmota(WebDevice):
    """`/cm?cmnd=Power…`; `numbered` is a device with two relays, `status` that of a refused password."""

    def __init__(self, *, password=None, numbered=False, status=401):
        super().__init__()
        self.password, self.numbered, self.status = password, numbered, status
        self.states = {1: True, 2: True}

    def answer(self, path, query, _headers, _target):
        if path != "/cm":
            return 404, {}, b"File Not Found"
        if self.password and (query.get("user"), query.get("password")) != ("admin", self.password):
            return self.status, {}, {"WARNING": "Need user=<username>&password=<password>"}
        command, _, value = query["cmnd"].partition(" ")
        match = re.fullmatch(r"power([12]?)", command.lower())
        if not match or (match[1] == "2" and not self.numbered):
            return 200, {}, {"Command": "Unknown"}
        number = int(match[1] or 1)
        if value:
            self.states[number] = value.lower() == "on"
        key = f"POWER{number}" if self.numbered else "POWER"
        return 200, {}, {key: "ON" if self.states[number] else "OFF"}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Supply:
    """A context manager: a SCPI supply with one connection at a time; `answers` overrides what it says to OUTP?."""

    def __init__(self, *, answers=None):
        self.is_on, self.heard, self._answers = True, [], answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            # The other end hangs up when it has heard enough.
            with link, link.makefile("rb") as lines, suppress(ConnectionError):
                for line in lines:
                    self._obey(link, line.decode().strip())

    def _obey(self, link, command):
        self.heard.append(command)
        if command in {"OUTP ON", "OUTP CH1,ON"}:
            self.is_on = True
        elif command in {"OUTP OFF", "OUTP CH1,OFF"}:
            self.is_on = False
        elif command.endswith("?"):
            link.sendall(b"1\n" if self.is_on and self._answers is None else self._answers or b"0\n")


UHUBCTL = """#!/usr/bin/env python3
import pathlib, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
state = pathlib.Path(__file__).with_suffix(".state")
hubs, obeys = {hubs!r}, {obeys!r}
if options.get("-l") not in hubs:
    print("No compatible devices detected at location " + options.get("-l", "") + "!", file=sys.stderr)
    print("Run with -h to get usage info.", file=sys.stderr)
    sys.exit(1)

def show(word, hub):
    is_super = hub.startswith("2-")
    print(word + " status for hub " + hub + (" [2109:0813 VIA Labs, Inc. USB3.0 Hub, USB 3.00, 4 ports, ppps]"
          if is_super else " [0424:9514, USB 2.00, 5 ports, ppps]"))
    on = ("0203 power 5gbps U0 enable connect" if is_super else "0503 power highspeed enable connect")
    off = "0080 off" if is_super else "0000 off"
    is_on = state.read_text() == "on" if state.exists() else True
    name = " [0424:ec00 super power box]" if is_on or {lingers!r} else ""
    print("  Port " + options["-p"] + ": " + (on if is_on else off) + name)

for hub in hubs:
    show("Current", hub)
    if "-a" in options:
        if obeys:
            state.write_text(options["-a"])
        print("Sent power " + options["-a"] + " request")
        show("New", hub)
"""
"""Prints what uhubctl.c prints in print_port_status and main, for one physical hub at the locations `hubs`."""


def write_uhubctl(folder, *, hubs=("1-1",), obeys=True, lingers=False):
    """An executable in `folder`; without `obeys` it reports success and changes nothing, as uhubctl on many hubs."""
    text = UHUBCTL.replace("{hubs!r}", repr(hubs)).replace("{obeys!r}", repr(obeys))
    return write_script(folder / "uhubctl", text.replace("{lingers!r}", repr(lingers)))


def write_script(path, text):
    """An executable file."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def closed_port():
    """A port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
