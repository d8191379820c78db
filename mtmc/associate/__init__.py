"""Passages of all cameras to vehicles with one identity each."""
