"""The stages of grasping and picking: one file each, one result each; ROS-free."""
