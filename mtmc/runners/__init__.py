"""Where the cameras are processed."""
