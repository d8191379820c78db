"""Multi-camera vehicle tracking: which car is which, everywhere.

The folders are the way of the data, in order: ``video`` → ``detect`` → ``track`` → ``clean`` → ``embed`` →
``associate`` → ``formats``, with ``render`` and ``evaluate`` beside the last step. See ARCHITECTURE.md.
"""

__version__ = "0.1.0"
