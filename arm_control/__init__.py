"""Motion planning, drivers, pick stages and the nodes of the arm."""
