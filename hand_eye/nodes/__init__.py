"""ROS sides of the calibration."""
