"""Arms that are streamed to through a library of their maker's. No ROS in here.

The library runs in a process of its own (`session`), one for every connection: it may keep Python's lock while it
connects, connect anew by itself, repeat what was commanded when a link breaks, or end its process. `ArmDriver` in the
node's process starts such sessions, watches them, and starts the next one when one has ended. What is special about a
robot is its `Link`.
"""
