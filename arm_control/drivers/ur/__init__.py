"""Universal Robots arms through the ur_rtde library. No ROS in here.

ur_rtde runs in a process of its own (`session`), one for every connection: it keeps Python's lock while it connects,
connects anew by itself and repeats what was commanded when a link breaks, and now and then ends its process. `UrDriver`
in the node's process starts such sessions, watches them, and starts the next one when one has ended.
"""
