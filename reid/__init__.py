"""Training and use of vehicle re-identification embedders. Importing it costs nothing: no torch, no numpy."""
