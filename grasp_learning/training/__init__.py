"""Training of the dense network: samples, targets, losses, the loop."""
