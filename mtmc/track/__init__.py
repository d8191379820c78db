"""Detections of one camera to tracklets."""
