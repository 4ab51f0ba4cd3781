"""The MuJoCo work cell behind the driver seams: objects, scenes, sensor noise, robot cell and node."""
