"""ROS nodes of the simulated work cell."""
