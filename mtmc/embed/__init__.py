"""Tracklets to passages: which crops stand for a vehicle, and one unit vector for all of them.

::

    crops.py       which observations to look at
    album.py       one pass over the video: cut them out, embed them
    pool.py        many vectors to one
    describe.py    all of it: tracklets to passages
    embedder.py    what gives vectors; colour.py does without weights
    appearance.py  vectors for every detection, before tracking
"""

from mtmc.embed.appearance import with_appearance
from mtmc.embed.config import EmbedConfig
from mtmc.embed.describe import Described, describe
from mtmc.embed.embedder import Embedder, load_embedder

__all__ = ["Described", "EmbedConfig", "Embedder", "describe", "load_embedder", "with_appearance"]
