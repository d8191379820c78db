"""Learning a place from its own tracklets, without labels: ground, clocks, zones, links and travel times."""
