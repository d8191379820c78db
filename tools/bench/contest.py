"""Ways of associating the passages of a finished run: each entrant's rule and what it is told of the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from mtmc.associate import AssociateConfig, associate
from mtmc.config import RunConfig
from mtmc.errors import ConfigError
from mtmc.evaluate import Scores
from mtmc.evaluate.aicity import score_aicity
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.table import Table
from mtmc.formats.track1 import whole_boxes
from mtmc.geometry.boxes import xywh_to_xyxy
from mtmc.postprocess import PostprocessConfig, postprocess
from mtmc.scene import read_roi
from mtmc.settings import parse_settings
from mtmc.site.config import SiteConfig
from mtmc.site.learn import learn_scene
from mtmc.types import GlobalTrack, Passage
from tools.bench.perturb import Case, placed, withheld

__all__ = ["ENTRANTS", "OURS", "Entrant", "Identity", "Place", "compete", "official", "place_for", "submission"]

Place = Literal["given", "learned", "learned on given ground", "nothing"]


@dataclass(frozen=True, slots=True)
class Entrant:
    """One way of associating.

    Attributes:
        name: For tables.
        settings: Of ``associate``, over those of the run.
        place: What it is told: the scene as given (clocks, homographies, zones, links); a scene learned from the very
            passages, all but the clocks withheld, or all but clocks and homographies; or the clocks alone.
    """

    name: str
    settings: Mapping[str, Any]
    place: Place = "given"


class Identity(NamedTuple):
    """Identity scores in [0, 1]."""

    idf1: float
    idp: float
    idr: float


def _agglomeration(linkage: str) -> dict[str, Any]:
    # As published, every pair of cameras needs a travel time. Scenes give those of neighboring zones, and with these
    # chains of possible pairs do better.
    return {"method": "hierarchical", "hierarchical": {"linkage": linkage, "all_pairs": False}}


OURS = "graph"

#: Published rules first, then the project's own.
ENTRANTS: tuple[Entrant, ...] = (
    Entrant("electricity, strict", {"method": "electricity", "electricity": {"mode": "strict"}}),
    Entrant("electricity, fixed", {"method": "electricity", "electricity": {"mode": "fixed"}}),
    Entrant("electricity, calibrated", {"method": "electricity", "electricity": {"mode": "calibrated"}}),
    Entrant("hierarchical, average", _agglomeration("average")),
    Entrant("hierarchical, complete", _agglomeration("complete")),
    Entrant("hierarchical, single", _agglomeration("single")),
    Entrant("crossroad zones", {"method": "crossroad_zones"}),
    Entrant(OURS, {"method": "graph"}),
    Entrant(f"{OURS}, ground given, rest learned", {"method": "graph"}, "learned on given ground"),
    Entrant(f"{OURS}, place learned", {"method": "graph"}, "learned"),
    Entrant(f"{OURS}, nothing known", {"method": "graph"}, "nothing"),
)


def place_for(case: Case, place: Place, site: SiteConfig | None = None) -> Case:
    """The case with no more of the place than an entrant may know.

    Args:
        case: With all that is known.
        place: See :class:`Entrant`.
        site: Settings of learning; None for the defaults.
    """
    if place == "given":
        return case
    scene = withheld(case.scene, ground=place != "learned on given ground")
    passages = placed(case.passages, scene)
    if place != "nothing":
        learned = learn_scene(scene, passages, site)
        scene, passages = learned.scene, placed(passages, learned.scene)
    return Case(scene, passages, case.shown, case.truth)


def compete(case: Case, entrant: Entrant, config: RunConfig, match_similarity: float | None) -> Identity | None:
    """Associate, and score by the official protocol; None where the entrant cannot do with what there is.

    Args:
        case: What it is told already.
        entrant: Its ``place`` is not looked at: see :func:`place_for`.
        config: The run's choices.
        match_similarity: What the embedder calls alike.
    """
    choices = _with(config.associate, entrant.settings)
    try:
        tracks = associate(case.passages, case.scene, choices, match_similarity)
    except ConfigError:
        return None
    found = official(case, submission(case, tracks, config.postprocess))
    return Identity(found.idf1, found.idp, found.idr)


def submission(case: Case, tracks: Sequence[GlobalTrack], config: PostprocessConfig) -> Table:
    """What would be submitted: post-processed boxes of whole pixels.

    Args:
        case: Its ``shown`` boxes are those that count.
        tracks: The vehicles.
        config: Settings of post-processing.
    """
    written = postprocess(_shown(case, tracks), case.scene, config)
    table = table_of_tracks(written, {camera.id: camera.number for camera in case.scene.cameras})
    return table.with_columns(xyxy=xywh_to_xyxy(whole_boxes(table.xyxy)))


def official(case: Case, table: Table) -> Scores:
    """Identity scores by the official protocol."""
    rois = {c.number: read_roi(c.roi, official=True) for c in case.scene.cameras if c.roi is not None}
    return score_aicity(case.truth, table, rois or None, metrics=("identity",), skip_missing=True)


def _with(config: AssociateConfig, settings: Mapping[str, Any]) -> AssociateConfig:
    """The run's choices with an entrant's in their place, two levels deep."""
    merged = config.model_dump()
    for key, value in settings.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    return parse_settings(AssociateConfig, merged)


def _shown(case: Case, tracks: Sequence[GlobalTrack]) -> list[GlobalTrack]:
    """The same vehicles with the boxes that are scored."""
    show = {(t.camera_id, t.track_id): t for t in case.shown}

    def shown(track: GlobalTrack) -> GlobalTrack:
        members = [replace(p, tracklet=show[p.tracklet.camera_id, p.tracklet.track_id]) for p in track.passages]
        return GlobalTrack(track.global_id, tuple(sorted(members, key=_order)))

    return [shown(track) for track in tracks]


def _order(passage: Passage) -> tuple[float, str, int]:
    return passage.tracklet.start_s, passage.tracklet.camera_id, passage.tracklet.track_id
