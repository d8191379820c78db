"""Detections of one camera to tracklets.

``kalman`` predicts where boxes go, ``costs`` says how unlike a track and a box are, ``assignment`` pairs them,
``rounds`` in which order, ``lifecycle`` keeps the living tracks, ``tracker`` does it frame by frame.
"""

from mtmc.track.config import TrackConfig
from mtmc.track.tracker import Tracker, track

__all__ = ["TrackConfig", "Tracker", "track"]
