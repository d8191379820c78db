"""``mtmc report``: one self-contained page about a finished run.

::

    report.py       the page: the run's own page (:mod:`mtmc.render.report`) with further sections
    pair_scores.py  scores of every pair of cameras
    traffic.py      counts over time, origins and destinations, travel times
    sankey.py       origins and destinations as a flow diagram
    charts.py       bars and ranges
    place.py        zones, trajectories and ground plane
    processing.py   seconds by stage, and the command that repeats the run
    elements.py     tables and SVG elements with escaped text
"""

from __future__ import annotations

from mtmc.report.report import report_run

__all__ = ["report_run"]
