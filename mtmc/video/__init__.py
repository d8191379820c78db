"""Pixels in and out."""

from __future__ import annotations

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES"]

#: What a camera's video file may be called; anything else is refused before a decoder guesses at it.
VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".ts", ".webm"})

#: What the pictures in a camera's image folder may be called.
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png"})
