"""The main job: a place and a configuration in, vehicles with one identity everywhere out."""
