"""How queries meet the gallery, by name; a result is worth nothing without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PROTOCOLS", "Protocol", "variants_of"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How queries meet the gallery.

    Attributes:
        name: What results call it.
        camera_rule: Leave out gallery entries with the query's identity and camera.
        draw: ``none``: the gallery as it is. ``pool``: draw one crop of each identity as gallery, all others are
            queries. ``gallery``: draw one crop of each identity from the gallery.
        draws: How many times; scores are means over them.
        both_directions: Also swap query and gallery; scores are means over both.
        unmatched: A query without a right answer is left out (``skip``) or counts as a failure (``zero``).
        pool_queries: All query crops of one identity and camera are one query: the mean of their normalized features.
        tracks: The gallery entries are tracks, each the mean of its normalized features, at Euclidean distance.
        track_camera_shift: Added to the tracks' camera numbers before the camera rule is applied.
    """

    name: str
    camera_rule: bool = True
    draw: Literal["none", "pool", "gallery"] = "none"
    draws: int = 1
    both_directions: bool = False
    unmatched: Literal["skip", "zero"] = "skip"
    pool_queries: bool = False
    tracks: bool = False
    track_camera_shift: int = 0

    def __str__(self) -> str:
        """One line for a report."""
        said = [
            {"none": "whole gallery", "pool": "one drawn crop per identity as gallery, the others as queries"}.get(
                self.draw, "one drawn crop per identity of the gallery"
            ),
            f"{self.draws} draws" if self.draw != "none" else "",
            "tracks" if self.tracks else "",
            "queries pooled by identity and camera" if self.pool_queries else "",
            f"track cameras {self.track_camera_shift:+d}" if self.track_camera_shift else "",
            "own camera left out" if self.camera_rule else "own camera kept",
            "both directions" if self.both_directions else "",
            "unanswerable queries count as failures" if self.unmatched == "zero" else "",
        ]
        return f"{self.name} ({', '.join(part for part in said if part)})"


PROTOCOLS: dict[str, Protocol] = {
    "market": Protocol("market"),
    "market-multi-query": Protocol("market-multi-query", pool_queries=True),
    "veri": Protocol("veri"),
    "veri-track": Protocol("veri-track", tracks=True),
    # Some published tmAP compared cameras from 0 with cameras from 1; for comparison with those alone.
    "veri-track-released": Protocol("veri-track-released", tracks=True, track_camera_shift=1),
    "vehicleid": Protocol("vehicleid", camera_rule=False, draw="pool", draws=10),
    "vehicleid-one-draw": Protocol("vehicleid-one-draw", camera_rule=False, draw="pool"),
    "veriwild": Protocol("veriwild"),
    "veriwild-own-camera": Protocol("veriwild-own-camera", camera_rule=False),
    "cityflow": Protocol("cityflow"),
    "cuhk03": Protocol("cuhk03", draw="gallery", draws=100),
    "viper": Protocol("viper", both_directions=True),
    "viper-a-to-b": Protocol("viper-a-to-b"),
    "folder": Protocol("folder"),
    "synthcity": Protocol("synthcity"),
}


def variants_of(protocol: str) -> list[str]:
    """The protocols for a data set of this one, its own first; those of tracks are measured with it.

    Pooled queries are not among them: they are other pictures, which the data set's loader reads.
    """
    return [
        name
        for name, found in PROTOCOLS.items()
        if name == protocol or (name.startswith(f"{protocol}-") and not (found.tracks or found.pool_queries))
    ]
