"""Planning through MoveIt: what to ask it for and what to make of its answers; it is reached through `door.MoveIt`."""
