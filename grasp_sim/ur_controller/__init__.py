"""A Universal Robots controller at the level of its network protocols.

It speaks RTDE (30004), takes scripts (30003), answers the dashboard (29999) and a Robotiq gripper's socket (63352), so
that the ur_rtde library and what is built on it can be run and tested without a robot. Behind it stands a kinematic
arm, or whatever follows its set points, such as the simulated work cell.
"""
