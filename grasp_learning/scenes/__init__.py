"""Scenes to learn from: what a camera sees of settled objects, and every grasp of them that is free in the scene."""
