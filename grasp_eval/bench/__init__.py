"""The benchmark bed: any detector under a named protocol, reproducibly, on one machine or a cluster."""
