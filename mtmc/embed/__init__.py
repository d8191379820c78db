"""Tracklets to passages: which crops stand for a vehicle, and one unit vector for all of them."""
