"""Data sets, augmentation and sampling."""
