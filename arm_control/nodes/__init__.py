"""The ROS shells: arm_node and pick_node."""
