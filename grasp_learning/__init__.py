"""Learning: labels, scenes, training. Never imported at run time."""
