"""Real clips with annotated frames: where the videos and their boxes lie.

Boxes come from ``tests/data/real_clips`` (annotated by the project), those of US-101 from files beside its videos.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["CLIPS", "UNRELATED", "Clip"]

_ANNOTATED = Path(__file__).resolve().parents[2] / "tests" / "data" / "real_clips"


@dataclass(frozen=True, slots=True)
class Clip:
    """A camera with annotated frames.

    Attributes:
        title: For tables.
        folder: Given to ``--videos``, below the folder of clips.
        video: File in ``folder``; without its suffix it is the camera's name.
        boxes: MOT file beside the video, or in ``tests/data/real_clips``. A 0 in its seventh column marks what
            counts neither way.
    """

    title: str
    folder: str
    video: str
    boxes: str

    @property
    def camera_id(self) -> str:
        """The camera's name."""
        return Path(self.video).stem

    def video_path(self, clips: Path) -> Path:
        """The video below the folder of clips."""
        return clips / self.folder / self.video

    def boxes_path(self, clips: Path) -> Path:
        """The file beside the video if there is one, else that of this repository."""
        given = clips / self.folder / self.boxes
        return given if given.is_file() else _ANNOTATED / self.boxes


CLIPS = (
    Clip("highway", "highway", "highway.avi", "highway.txt"),
    Clip("hwy1", "hwy", "hwy1.avi", "hwy1.txt"),
    Clip("tfl 815, day", "tfl", "815_201707211414.mp4", "tfl_815_day.txt"),
    Clip("tfl 625, night", "tfl", "625_201709042122.mp4", "tfl_625_night.txt"),
    Clip("us101, camera 1", "us101", "cam1.mp4", "cam1_boxes.txt"),
    Clip("us101, camera 2", "us101", "cam2.mp4", "cam2_boxes.txt"),
)
#: One clip of each place: no vehicle was filmed at two of them.
UNRELATED = (
    "highway/highway.avi",
    "hwy/hwy1.avi",
    "tfl/815_201707211414.mp4",
    "tfl/625_201709042122.mp4",
    "us101/cam1.mp4",
    "top_view/top_view_cars.mp4",
)
