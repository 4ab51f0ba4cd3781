"""Servers of text protocols: dashboard, script and gripper. Each connection is served by a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class TextServer:
    """Listens on one port. ``answer(text)`` takes what has arrived and returns the rest of it that is incomplete, and
    the reply ("" for none); ``greeting`` is sent to every new client."""

    def __init__(self, address: str, port: int, answer: Callable[[str], tuple[str, str]], greeting: str = "") -> None:
        self._answer, self._greeting = answer, greeting
        self._listener = socket.create_server((address, port), backlog=8)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.refusing = False
        threading.Thread(target=self._listen, name=f"port {port}", daemon=True).start()

    def drop(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all connections and stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            if self.refusing:
                connection.close()
                continue
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        text = ""
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(self._greeting.encode())
            while data := connection.recv(65536):
                text, reply = self._answer(text + data.decode(errors="replace"))
                connection.sendall(reply.encode())
        except OSError:  # the client or `drop` ended it
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


def by_line(answer: Callable[[str], str]) -> Callable[[str], tuple[str, str]]:
    """An ``answer`` for `TextServer` that is asked once for every line, and answers with a line (or nothing)."""

    def take(text: str) -> tuple[str, str]:
        *lines, rest = text.split("\n")
        replies = [answer(line.strip()) for line in lines if line.strip()]
        return rest, "".join(f"{reply}\n" for reply in replies if reply)

    return take
