"""The vocabulary of seegrasp: transforms, grasps, grippers, cameras, clouds, errors. Imports neither ROS nor torch."""
