"""Flexiv Rizon arms and their gripper through Flexiv's RDK (package flexivrdk, 1.8 or newer). No ROS in here."""
