"""RTDE byte by byte, and the command: what a client that is not ur_rtde may do to the controller."""

import socket
import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest

from grasp_core.errors import ConfigError, SeegraspError
from grasp_sim.ur_controller import rtde
from grasp_sim.ur_controller.__main__ import COMMANDS, main, obey, parse_version
from grasp_sim.ur_controller.controller import Controller
from grasp_sim.ur_controller.models import find_model
from grasp_sim.ur_controller.process import ControllerProcess
from test.ur_robot import own_address


@pytest.fixture
def controller() -> Iterator[Controller]:
    made = Controller(find_model("ur5e"), own_address())
    yield made
    made.close()


class Wire:
    """A client that sends what it likes; the controller's time goes on only here."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.socket = socket.create_connection((controller.address, rtde.PORT), timeout=5.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # cycles run faster than packages gathered
        self._inbox = b""

    def send(self, kind: str, payload: bytes = b"") -> None:
        self.socket.sendall(struct.pack(">HB", 3 + len(payload), ord(kind)) + payload)

    def next(self) -> tuple[str, bytes]:
        """The next package, with as many cycles as it takes."""
        self.socket.settimeout(0.01)
        for _ in range(500):
            if len(self._inbox) >= 3:
                size, kind = struct.unpack_from(">HB", self._inbox)
                if len(self._inbox) >= size:
                    payload, self._inbox = self._inbox[3:size], self._inbox[size:]
                    return chr(kind), payload
            self.controller.cycle()
            try:
                self._inbox += self.socket.recv(65536)
            except TimeoutError:
                continue
        raise AssertionError("no answer")

    def ask(self, kind: str, payload: bytes = b"") -> bytes:
        self.send(kind, payload)
        answer, data = self.next()
        assert answer == kind
        return data


def cycles_until(controller: Controller, condition: object) -> None:
    for _ in range(2000):
        controller.cycle()
        if condition():
            return
    raise AssertionError("did not happen")


def test_only_version_2_is_spoken(controller: Controller) -> None:
    wire = Wire(controller)
    assert wire.ask("V", struct.pack(">H", 1)) == b"\x00"
    assert wire.ask("V", struct.pack(">H", 2)) == b"\x01"
    assert wire.ask("v") == struct.pack(">4I", *controller.version)


def test_outputs_come_at_the_rate_that_was_asked_for(controller: Controller) -> None:
    wire = Wire(controller)
    assert wire.ask("O", struct.pack(">d", 125.0) + b"timestamp,actual_q,nothing") == b"\x01DOUBLE,VECTOR6D,NOT_FOUND"
    assert wire.ask("O", struct.pack(">d", 125.0) + b"timestamp,actual_q") == b"\x01DOUBLE,VECTOR6D"
    assert wire.ask("S") == b"\x01"
    stamps = [struct.unpack(">B7d", wire.next()[1])[1] for _ in range(5)]
    assert [b - a for a, b in pairwise(stamps)] == pytest.approx([0.008] * 4)
    wire.send("P")
    while (package := wire.next())[0] != "P":
        pass
    assert package[1] == b"\x01"


def test_inputs_are_taken_by_recipe_and_nonsense_is_left(controller: Controller) -> None:
    wire = Wire(controller)
    assert wire.ask("I", b"input_int_register_3,input_double_register_4") == b"\x01INT32,DOUBLE"
    assert wire.ask("I", b"input_int_register_99") == b"\x00NOT_FOUND"
    wire.send("U", b"\x09" + struct.pack(">id", 1, 1.0))  # no such recipe
    wire.send("U", b"\x01" + b"\x00")  # too short
    wire.send("Z", b"?")  # no such package
    wire.send("U", b"\x01" + struct.pack(">id", 7, 2.5))
    cycles_until(controller, lambda: controller.registers.in_int[3] == 7)
    assert controller.registers.in_double[4] == 2.5


def test_a_package_may_come_in_pieces(controller: Controller) -> None:
    wire = Wire(controller)
    package = struct.pack(">HBH", 5, ord("V"), 2)
    for byte in package:
        wire.socket.sendall(bytes([byte]))
        controller.cycle()
    assert wire.next() == ("V", b"\x01")


def test_a_register_has_one_owner_until_it_leaves(controller: Controller) -> None:
    first, second = Wire(controller), Wire(controller)
    assert first.ask("I", b"input_int_register_0") == b"\x01INT32"
    assert second.ask("I", b"input_int_register_0") == b"\x00IN_USE"
    first.socket.close()
    cycles_until(controller, lambda: controller.rtde.clients == 1)
    assert second.ask("I", b"input_int_register_0") == b"\x01INT32"


def test_commands_on_the_standard_input(controller: Controller) -> None:
    for command in COMMANDS:
        assert obey(controller, command) == "ok"
    assert obey(controller, "") == ""
    assert obey(controller, "state").startswith("POWER_OFF SAFEGUARD_STOP"), "power is not given while it is stopped"
    obey(controller, "release")
    obey(controller, "power_on")
    assert obey(controller, "state").startswith("RUNNING NORMAL")
    assert obey(controller, "slider 0.4") == "ok"
    assert "unknown command 'dance'" in obey(controller, "dance")


def test_the_command_line_names_what_is_wrong(controller: Controller, capsys: pytest.CaptureFixture) -> None:
    assert parse_version("5.9.4.10") == (5, 9, 4, 10)
    with pytest.raises(ConfigError, match="four numbers"):
        parse_version("5.9")
    assert main(["--address", controller.address]) == 1
    assert controller.address in capsys.readouterr().err
    with pytest.raises(SeegraspError, match="another one running"):
        ControllerProcess(controller.address)
