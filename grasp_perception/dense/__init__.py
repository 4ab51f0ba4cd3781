"""The dense detector: a sparse convolutional network that scores grasps at every graspable place of a scene."""
