"""A TCP relay on loopback that can cut a connection or fall silent after so many bytes towards the server."""

import select
import socket
import struct
import threading


class Relay:
    """A context manager. `cut_after_bytes` resets the connection, `freeze_after_bytes` keeps it open and mute.

    `is_frozen` is set once a connection is mute.
    """

    def __init__(self, port, *, cut_after_bytes=None, freeze_after_bytes=None):
        self._server_port = port
        self.cut_after_bytes = cut_after_bytes
        self.freeze_after_bytes = freeze_after_bytes
        self.is_frozen = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self):
        while not self._ending.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, client):
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            carried = 0
            while not self._ending.is_set():
                for source in select.select([client, server], [], [], 0.05)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is client:
                        carried += len(data)
                    if self.cut_after_bytes is not None and carried > self.cut_after_bytes:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    if self.freeze_after_bytes is not None and carried > self.freeze_after_bytes:
                        self.is_frozen.set()
                        self._ending.wait()
                        return
                    (server if source is client else client).sendall(data)
