"""Retrieval measured exactly: ranks, protocols, scores and re-ranking."""
