"""Single-camera tracking: the detections of one camera to tracklets.

``kalman`` predicts boxes, ``costs`` computes distances between tracks and detections, ``assignment`` solves the
one-to-one assignment, ``matching`` orders its stages, ``track_state`` holds the living tracks, ``tracker`` processes
frame after frame, and ``track_log`` collects what becomes tracklets.
"""

from mtmc.track.config import TrackConfig
from mtmc.track.tracker import Tracker, track

__all__ = ["TrackConfig", "Tracker", "track"]
