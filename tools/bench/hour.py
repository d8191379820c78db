"""Memory of the tracker over a long video: ``python -m tools.bench.hour``.

Seeded traffic (see :mod:`tools.bench.workload_track`) is made and tracked a frame at a time, and finished tracklets
are taken out after every frame, as a live application does. The default is one hour at 10 frames per second with 20
vehicles and features of 512 values. Resident memory is read after the first tenth, half and all of the frames; it
should not grow.
"""

from __future__ import annotations

from mtmc.threads import own_threads

own_threads(1)

import argparse  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402
from itertools import islice  # noqa: E402
from pathlib import Path  # noqa: E402

from mtmc.geometry.clock import Clock  # noqa: E402
from mtmc.track import TrackConfig, Tracker  # noqa: E402
from mtmc.types import Detections  # noqa: E402
from tools.bench.workload_track import stream  # noqa: E402


def main() -> None:
    """Track the traffic and print a line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=36_000)
    parser.add_argument("--vehicles", type=int, default=20, help="vehicles at a time")
    args = parser.parse_args()

    tracker = Tracker("bench", Clock(fps=10), TrackConfig())
    milestones = {args.frames // 10, args.frames // 2, args.frames}
    tracklets = observations = 0
    seconds = 0.0
    print(f"{'frames':>8}{'RSS, MB':>10}{'ms per frame':>14}{'tracklets':>11}{'observations':>14}")
    for frame, traffic in enumerate(islice(stream(args.vehicles), args.frames)):
        detections = Detections.of(traffic.xyxy, traffic.score, appearance=traffic.features)
        start = time.process_time()
        tracker.update(frame, detections)
        finished = tracker.pop_finished()
        seconds += time.process_time() - start
        tracklets += len(finished)
        observations += sum(len(tracklet) for tracklet in finished)
        if frame + 1 in milestones:
            ms = seconds / (frame + 1) * 1e3
            print(f"{frame + 1:>8}{resident_mb():>10.1f}{ms:>14.3f}{tracklets:>11}{observations:>14}", flush=True)


def resident_mb() -> float:
    """Resident memory of this process in megabytes, as Linux reports it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
