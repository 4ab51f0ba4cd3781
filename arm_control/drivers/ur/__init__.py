"""Universal Robots arms through the ur_rtde library, and a Robotiq gripper on their controller. No ROS in here."""
