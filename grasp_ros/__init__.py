"""The one room where ROS meets the rest: message conversions, TF, QoS, parameters, node runtime, diagnostics.

Nodes import from here; nothing deeper inside the stack ever sees a ROS type.
"""
