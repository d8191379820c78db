"""Figures that describe how source code reads: sizes, density, names, comments, documentation, import circles."""
