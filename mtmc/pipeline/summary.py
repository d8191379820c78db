"""What a run prints: its models before it begins, the outcome when it is done."""

from __future__ import annotations

from collections import Counter

from mtmc.config import RunConfig
from mtmc.log import plural
from mtmc.pipeline.models import models_in_use
from mtmc.pipeline.run import RunResult
from mtmc.scene import Scene
from mtmc.types import CLASSES

__all__ = ["models_line", "summary_text"]


def models_line(scene: Scene, config: RunConfig) -> str:
    """``scene: detector NAME (source, license), embedder NAME (…)``: what a run is about to use."""
    models = models_in_use(scene, config)
    return f"{scene.name}: " + ", ".join(f"{task} {model}" for task, model in models.items())


def summary_text(scene: Scene, result: RunResult) -> str:
    """A table of the cameras, the scores if there are any, what went wrong, and where the files are."""
    types = Counter(CLASSES[track.class_id] for track in result.tracks)
    cross = [track for track in result.tracks if len(track.camera_ids) > 1]
    width = max([12, *(len(camera.camera_id) + 2 for camera in result.cameras)])
    across = f", {len(cross)} seen by more than one" if len(scene.cameras) > 1 else ""
    lines = [
        f"{scene.name}: {plural(len(result.tracks), 'vehicle')} in {plural(len(scene.cameras), 'camera')}"
        f"{across}{_types_text(types)}",
        f"{'camera':<{width}}{'frames':>8}{'boxes':>8}{'tracks':>8}{'kept':>8}{'shared':>8}{'CPU s':>8}",
    ]
    for camera in result.cameras:
        counts = camera.counts
        shared = sum(camera.camera_id in track.camera_ids for track in cross)
        cpu = sum(seconds for _, seconds in camera.seconds.values())
        numbers = [counts.get(name, "–") for name in ("frames", "detections", "tracklets", "vehicles")]
        cells = "".join(f"{number:>8}" for number in [*numbers, shared])
        lines.append(f"{camera.camera_id:<{width}}{cells}{cpu:>8.1f}")
    if result.learned is not None:
        lines += ["", result.learned.summary]
    if result.scores is not None:
        lines += ["", result.scores.text().rstrip()]
    lines += [f"mtmc: {problem}" for problem in result.problems]
    lines += [f"mtmc: warning: {warning}" for warning in result.warnings]
    pages = [name for name in ("report.html", "track1.txt") if (result.out / name).exists()]
    lines += ["", f"results: {', '.join(str(result.out / name) for name in pages)}"]
    return "\n".join(lines)


def _types_text(types: Counter[str]) -> str:
    """``; 12 car, 3 truck``, the most frequent first; nothing where no type is known."""
    if set(types) <= {"vehicle"}:
        return ""
    return "; " + ", ".join(f"{count} {name}" for name, count in types.most_common())
