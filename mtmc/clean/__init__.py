"""Tracklets mended and weeded: split, join, interpolate, drop."""
