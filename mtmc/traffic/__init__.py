"""Traffic figures of a finished run.

::

    movements.py        each vehicle's pass through the view of one camera
    link_sampling.py    partitions of the passages that follow the probabilities of links
    zone_imputation.py  missing zones, drawn from complete movements
    samples.py          both: what the movements may have been
    estimates.py        counts and medians with intervals, from these samples
    ground_paths.py     paths on the ground by the second: speed, and when the vehicle stands
    tables.py           turning counts, origin–destination matrix, travel times, headways, speeds, delays, peak hours
    queues.py           vehicles that stand at one time
    outlines.py         rectangles of vehicles on the ground, where their positions are sure
    conflicts.py        post-encroachment time and time to collision, from these
    write.py            CSV and Parquet, one type of row per file
    exports.py          files for SUMO and OTAnalytics
    trajectory_files.py  paths as GeoParquet and GeoJSON
"""

from __future__ import annotations

from mtmc.traffic.count import TrafficTables, count_run, run_tables, tables_of
from mtmc.traffic.movements import Movement, movements_of

__all__ = ["Movement", "TrafficTables", "count_run", "movements_of", "run_tables", "tables_of"]
