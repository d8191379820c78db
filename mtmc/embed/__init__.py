"""Tracklets to passages: which crops represent a vehicle, and one unit vector for all of them.

::

    crops.py          which observations to crop
    crop_buffer.py    one pass over the video: cut the crops out, embed them in batches
    pooling.py        many vectors to one
    locate.py         entry and exit zones, positions on the ground plane
    passages.py       all of it: tracklets to passages
    embedder.py       what an embedder is; color.py needs no weights
    ensemble.py       several embedders as one
    load.py           the embedder that a configuration names
    attributes.py     types and colors, by a network of their own
    per_detection.py  a vector for every detection, before tracking
"""

from mtmc.embed.attributes import AttributeNetwork, load_attributes
from mtmc.embed.config import EmbedConfig
from mtmc.embed.embedder import Embedder
from mtmc.embed.load import check_embedders, load_embedder
from mtmc.embed.passages import EmbeddedTracklets, embed_tracklets, locate_again
from mtmc.embed.per_detection import with_appearance

__all__ = [
    "AttributeNetwork",
    "EmbedConfig",
    "EmbeddedTracklets",
    "Embedder",
    "check_embedders",
    "embed_tracklets",
    "load_attributes",
    "load_embedder",
    "locate_again",
    "with_appearance",
]
