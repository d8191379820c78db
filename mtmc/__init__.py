"""Multi-camera multi-target vehicle tracking.

The folders follow the data: ``video`` → ``detect`` → ``track`` → ``clean`` → ``embed`` → ``associate`` →
``postprocess`` → ``formats``, with ``render`` and ``evaluate`` beside the last step. See ARCHITECTURE.md.

``__all__`` is the public interface; docs/api.md describes it. Its names are imported on first use, so that ``import
mtmc`` loads neither NumPy nor torch. A stage and its main function have the same name (``mtmc.associate.associate``):
the stages are reached as modules, ``mtmc.associate``, ``mtmc.track``, and so on.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtmc import associate, clean, detect, embed, evaluate, postprocess, render, track
    from mtmc.associate import AssociateConfig
    from mtmc.config import RunConfig, load_config
    from mtmc.errors import MtmcError
    from mtmc.evaluate import Evaluation, Scores, evaluate_files, evaluate_tables, score, score_per_camera
    from mtmc.formats.any import read_any
    from mtmc.formats.convert import table_of_tracks, tracklets_of
    from mtmc.formats.mot import read_mot, write_mot
    from mtmc.formats.parquet import read_parquet, write_parquet
    from mtmc.formats.table import Table
    from mtmc.formats.track1 import read_track1, write_track1
    from mtmc.geometry.clock import Clock
    from mtmc.pipeline.results import LoadedRun, load_run
    from mtmc.pipeline.run import RunResult, run
    from mtmc.scene import Camera, Link, PlaneAlignment, PlaneOrigin, Scene, Zone, load_scenes, write_scene
    from mtmc.track import TrackConfig, Tracker
    from mtmc.types import Detections, Frame, GlobalTrack, Passage, Tracklet

__version__ = "0.1.0"

#: Module of each public name; an empty one stands for a stage, which is a module itself.
_MODULES = {
    "AssociateConfig": "mtmc.associate",
    "Camera": "mtmc.scene",
    "Clock": "mtmc.geometry.clock",
    "Detections": "mtmc.types",
    "Evaluation": "mtmc.evaluate",
    "Frame": "mtmc.types",
    "GlobalTrack": "mtmc.types",
    "Link": "mtmc.scene",
    "LoadedRun": "mtmc.pipeline.results",
    "MtmcError": "mtmc.errors",
    "Passage": "mtmc.types",
    "PlaneAlignment": "mtmc.scene",
    "PlaneOrigin": "mtmc.scene",
    "RunConfig": "mtmc.config",
    "RunResult": "mtmc.pipeline.run",
    "Scene": "mtmc.scene",
    "Scores": "mtmc.evaluate",
    "Table": "mtmc.formats.table",
    "TrackConfig": "mtmc.track",
    "Tracker": "mtmc.track",
    "Tracklet": "mtmc.types",
    "Zone": "mtmc.scene",
    "associate": "",
    "clean": "",
    "detect": "",
    "embed": "",
    "evaluate": "",
    "evaluate_files": "mtmc.evaluate",
    "evaluate_tables": "mtmc.evaluate",
    "load_config": "mtmc.config",
    "load_run": "mtmc.pipeline.results",
    "load_scenes": "mtmc.scene",
    "postprocess": "",
    "read_any": "mtmc.formats.any",
    "read_mot": "mtmc.formats.mot",
    "read_parquet": "mtmc.formats.parquet",
    "read_track1": "mtmc.formats.track1",
    "render": "",
    "run": "mtmc.pipeline.run",
    "score": "mtmc.evaluate",
    "score_per_camera": "mtmc.evaluate",
    "table_of_tracks": "mtmc.formats.convert",
    "track": "",
    "tracklets_of": "mtmc.formats.convert",
    "write_mot": "mtmc.formats.mot",
    "write_parquet": "mtmc.formats.parquet",
    "write_scene": "mtmc.scene",
    "write_track1": "mtmc.formats.track1",
}

__all__ = [
    "AssociateConfig",
    "Camera",
    "Clock",
    "Detections",
    "Evaluation",
    "Frame",
    "GlobalTrack",
    "Link",
    "LoadedRun",
    "MtmcError",
    "Passage",
    "PlaneAlignment",
    "PlaneOrigin",
    "RunConfig",
    "RunResult",
    "Scene",
    "Scores",
    "Table",
    "TrackConfig",
    "Tracker",
    "Tracklet",
    "Zone",
    "__version__",
    "associate",
    "clean",
    "detect",
    "embed",
    "evaluate",
    "evaluate_files",
    "evaluate_tables",
    "load_config",
    "load_run",
    "load_scenes",
    "postprocess",
    "read_any",
    "read_mot",
    "read_parquet",
    "read_track1",
    "render",
    "run",
    "score",
    "score_per_camera",
    "table_of_tracks",
    "track",
    "tracklets_of",
    "write_mot",
    "write_parquet",
    "write_scene",
    "write_track1",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    import importlib

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not _MODULES[name]:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """The public names, whether they have been used or not."""
    return sorted([*globals(), *(name for name in __all__ if name not in globals())])
