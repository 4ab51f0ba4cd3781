"""From depth to grasps: cloud ingest, detectors and their nodes."""
