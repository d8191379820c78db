"""Losses as pure functions, one idea per file; all of them compute in fp32 or better whatever autocast says."""
