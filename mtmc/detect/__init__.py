"""Frames to detections: vendors are adapted here, at the edge."""
