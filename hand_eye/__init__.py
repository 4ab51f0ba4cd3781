"""Hand-eye calibration: where a camera is on the arm or beside it, from views of a board. ROS lives in `nodes` only."""
