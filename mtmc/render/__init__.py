"""What people look at: annotated videos, a mosaic, one page."""
