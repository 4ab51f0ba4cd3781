"""Runs a program of others inside a bringup: `python -m seegrasp.child seegrasp.external ros2 launch …`.

As a child of `seegrasp.child` it ends, with all that it started, when the bringup does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys


def main() -> int:
    """Run the command line that follows; its exit code, 127 when there is no such program."""
    command = sys.argv[1:]
    if shutil.which(command[0]) is None:
        print(f"no program {command[0]!r} on the PATH: source the ROS 2 installation that has it", file=sys.stderr)
        return 127
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
