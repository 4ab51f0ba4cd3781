"""The RTDE server: protocol version 2, any number of clients, served from the controller's cycle.

A package is its size (uint16, with the header), its type (a letter) and the payload, all big-endian. Source: Universal
Robots, "Real-Time Data Exchange (RTDE) guide".
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grasp_sim.ur_controller import variables
from grasp_sim.ur_controller.registers import input_type

if TYPE_CHECKING:
    from grasp_sim.ur_controller.controller import Controller

PORT = 30004
PROTOCOL = 2
_HEADER = struct.Struct(">HB")
_BACKLOG = 1 << 20  # bytes that a client may leave unread until it is dropped
_LOG = logging.getLogger(__name__)


@dataclass
class _Recipe:
    """One input recipe: names, types, and how its packages are unpacked."""

    names: list[str]
    types: list[str]

    def unpack(self, payload: bytes) -> dict[str, Any]:
        values = struct.unpack(">" + "".join(variables.FORMATS[t] for t in self.types), payload)
        out, i = {}, 0
        for name, kind in zip(self.names, self.types, strict=True):
            count = variables.LENGTHS.get(kind, 1)
            out[name] = values[i] if count == 1 else values[i : i + count]
            i += count
        return out


@dataclass(eq=False)
class _Client:
    """A connection: what it has sent, what is to be sent to it, its recipes."""

    socket: socket.socket
    inbox: bytearray = field(default_factory=bytearray)
    outbox: bytearray = field(default_factory=bytearray)
    recipes: list[_Recipe] = field(default_factory=list)
    outputs: list[tuple[str, variables.Getter]] = field(default_factory=list)
    packer: struct.Struct = field(default_factory=lambda: struct.Struct(">"))
    every: int = 1  # cycles
    started: bool = False
    claimed: set[str] = field(default_factory=set)

    def put(self, kind: str, payload: bytes) -> None:
        self.outbox += _HEADER.pack(_HEADER.size + len(payload), ord(kind)) + payload


class RtdeServer:
    """Accepts clients and serves them once in every cycle. Not thread-safe: the controller's lock is held."""

    def __init__(self, controller: Controller, address: str, port: int = PORT) -> None:
        self._controller = controller
        self._listener = socket.create_server((address, port), backlog=8)
        self._listener.setblocking(False)
        self._clients: list[_Client] = []
        self.refusing = False

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def close(self) -> None:
        """End all connections and stop listening."""
        self.drop()
        self._listener.close()

    def drop(self) -> None:
        """End all connections."""
        for client in list(self._clients):
            self._end(client, "the controller drops it")

    def receive(self) -> None:
        """Take in whatever has arrived."""
        self._accept()
        for client in list(self._clients):
            try:
                data = client.socket.recv(65536)
            except BlockingIOError:
                continue
            except OSError as error:
                self._end(client, str(error))
                continue
            if not data:
                self._end(client, "its client closed it")
                continue
            client.inbox += data
            self._take(client)

    def send(self, cycle: int) -> None:
        """Send the outputs that are due in this cycle, and what is left to be sent."""
        for client in list(self._clients):
            if client.started and cycle % client.every == 0:
                client.put("U", self._outputs(client))
            try:
                while client.outbox:
                    sent = client.socket.send(client.outbox)
                    del client.outbox[:sent]
            except BlockingIOError:
                if len(client.outbox) > _BACKLOG:
                    self._end(client, "it does not read what it is sent")
            except OSError as error:
                self._end(client, str(error))

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                if self.refusing:
                    connection.close()
                    continue
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients.append(_Client(connection))

    def _end(self, client: _Client, why: str) -> None:
        _LOG.info("RTDE connection ended: %s", why)
        client.socket.close()
        self._clients.remove(client)

    def _take(self, client: _Client) -> None:
        while len(client.inbox) >= _HEADER.size:
            size, kind = _HEADER.unpack_from(client.inbox)
            if len(client.inbox) < size:
                return
            payload = bytes(client.inbox[_HEADER.size : size])
            del client.inbox[: max(size, _HEADER.size)]
            self._handle(client, chr(kind), payload)

    def _handle(self, client: _Client, kind: str, payload: bytes) -> None:
        if kind == "U":
            self._input(client, payload)
        elif kind == "V":
            client.put("V", bytes([struct.unpack(">H", payload)[0] == PROTOCOL]))
        elif kind == "v":
            client.put("v", struct.pack(">4I", *self._controller.version))
        elif kind == "O":
            client.put("O", self._set_outputs(client, payload))
        elif kind == "I":
            client.put("I", self._add_recipe(client, payload))
        elif kind in "SP":
            client.started = kind == "S"
            client.put(kind, b"\x01")
        else:
            _LOG.error("RTDE package of unknown type %r", kind)

    def _input(self, client: _Client, payload: bytes) -> None:
        if not 0 < payload[0] <= len(client.recipes):
            _LOG.error("RTDE input for recipe %d, which was not set up", payload[0])
            return
        try:
            values = client.recipes[payload[0] - 1].unpack(payload[1:])
        except struct.error as error:
            _LOG.error("RTDE input for recipe %d does not fit it: %s", payload[0], error)
            return
        self._controller.registers.write(values, self._controller.time)

    def _set_outputs(self, client: _Client, payload: bytes) -> bytes:
        frequency = struct.unpack(">d", payload[:8])[0]
        names = [name for name in payload[8:].decode().split(",") if name]
        found = [variables.find(name, self._controller.version) for name in names]
        types = ["NOT_FOUND" if f is None else f[0] for f in found]
        client.every = max(1, round(self._controller.model.rate / max(frequency, 1.0)))
        client.outputs = [f for f in found if f is not None]
        client.packer = struct.Struct(">B" + "".join(variables.FORMATS[kind] for kind, _ in client.outputs))
        return b"\x01" + ",".join(types).encode()

    def _add_recipe(self, client: _Client, payload: bytes) -> bytes:
        names = [name for name in payload.decode().split(",") if name]
        others = set().union(*(other.claimed for other in self._clients if other is not client))
        types = ["IN_USE" if name in others else input_type(name) for name in names]
        if {"IN_USE", "NOT_FOUND"} & set(types):
            return b"\x00" + ",".join(types).encode()
        client.recipes.append(_Recipe(names, types))
        client.claimed |= set(names)
        return bytes([len(client.recipes)]) + ",".join(types).encode()

    def _outputs(self, client: _Client) -> bytes:
        values: list[Any] = [1]
        for kind, getter in client.outputs:
            value = getter(self._controller)
            values.extend(value) if kind in variables.LENGTHS else values.append(value)
        return client.packer.pack(*values)
