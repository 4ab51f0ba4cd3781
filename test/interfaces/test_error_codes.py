"""The table of errors is written twice, in a message and in Python: they must be one table."""

import re
from pathlib import Path

from grasp_core.errors import ErrorCode

MESSAGE = Path(__file__).resolve().parents[2] / "interfaces/seegrasp_msgs/msg/ErrorCode.msg"


def test_python_and_message_have_the_same_codes():
    constants = dict(re.findall(r"^uint16 ([A-Z_]+)=(\d+)", MESSAGE.read_text(), flags=re.MULTILINE))
    assert {name: int(value) for name, value in constants.items()} == {c.name: c.value for c in ErrorCode}
