"""The ROS 2 nodes of perception: thin shells over the ROS-free rooms."""
