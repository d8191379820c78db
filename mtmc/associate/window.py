"""Association of passages as they come in, with identities that stay as they are once they are committed.

A window holds the passages of the last minutes. Each call solves the window with the committed identities fixed
(:func:`mtmc.associate.graph.solve`). A passage is committed some time after its end, when what comes later can hardly
change its identity. Passages that ended longer ago than the memory are forgotten, so that memory and the cost per
passage do not grow with time.

A window of a minute or two holds too few passages to fit appearance and travel times well. The scene model is
therefore fitted to a longer history, which is not solved, and is fitted again whenever enough of it is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.associate.candidates import candidates
from mtmc.associate.config import AssociateConfig
from mtmc.associate.fitting import fit_scene_model
from mtmc.associate.graph import solve
from mtmc.associate.numbering import in_order
from mtmc.associate.scene_model import SceneModel
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["Committed", "WindowAssociation"]

Name = tuple[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Committed:
    """A passage and its final identity, an integer ≥ 1."""

    passage: Passage
    identity: int


class WindowAssociation:
    """The method ``graph`` on a sliding window.

    Args:
        scene: Its links and the alignment of its ground planes.
        config: The choices.
        settle_s: Seconds between the end of a passage and its commitment.
        memory_s: Seconds for which a committed passage can still be continued; None: as long as a gap may last by
            the links and the settings, at least :attr:`MIN_MEMORY_S`.
        history_s: Seconds of passages that the scene model is fitted to, at least those of the window.
    """

    MIN_MEMORY_S = 120.0
    #: Share of the history that is new when the scene model is fitted again.
    REFIT_SHARE = 0.1

    def __init__(
        self,
        scene: Scene,
        config: AssociateConfig,
        *,
        settle_s: float = 30.0,
        memory_s: float | None = None,
        history_s: float = 600.0,
    ) -> None:
        self.scene, self.config = scene, config
        self.settle_s, self.history_s = settle_s, history_s
        self.memory_s = max(_longest_gap_s(scene, config), self.MIN_MEMORY_S) if memory_s is None else memory_s
        self._window: dict[Name, Passage] = {}
        self._identity: dict[Name, int] = {}  # of the committed passages in the window
        self._history: dict[Name, Passage] = {}  # what the scene model is fitted to
        self._not_fitted = 0  # passages of the history that came after the last fit
        self._model: SceneModel | None = None
        self._next_identity = 1
        self._now_s = -np.inf

    def __len__(self) -> int:
        """Passages in the window."""
        return len(self._window)

    def add(self, passages: Sequence[Passage]) -> list[Committed]:
        """Take in new passages; those that can be committed now, each once, with their identities.

        Args:
            passages: That ended since the last call. The present is the latest end of all passages so far.

        Raises:
            ValueError: A passage is in the window already.
        """
        for passage in passages:
            name = _name(passage)
            if name in self._window:
                raise ValueError(f"expected each tracklet once, got {name[0]}/{name[1]} twice")
            self._window[name] = self._history[name] = passage
            self._not_fitted += 1
            self._now_s = max(self._now_s, passage.tracklet.end_s)
        self._history = {
            name: passage
            for name, passage in self._history.items()
            if name in self._window or passage.tracklet.end_s >= self._now_s - self.history_s
        }
        committed = self._commit(self._now_s - self.settle_s)
        self._forget(self._now_s - self.settle_s - self.memory_s)
        return committed

    def finish(self) -> list[Committed]:
        """Commit all passages that are left."""
        return self._commit(np.inf)

    def _commit(self, until_s: float) -> list[Committed]:
        """Commit the passages that ended before ``until_s``."""
        due = [n for n, p in self._window.items() if n not in self._identity and p.tracklet.end_s <= until_s]
        if not due:
            return []
        ordered = in_order(list(self._window.values()))
        names = [_name(p) for p in ordered]
        label_of = dict(zip(names, self._solve(ordered).tolist(), strict=True))

        committed = []
        number_of: dict[int, int] = {}
        for name in sorted(due, key=lambda n: (self._window[n].tracklet.start_s, n)):
            label = label_of[name]
            if label >= self._next_identity and label not in number_of:
                number_of[label] = self._next_identity + len(number_of)
            self._identity[name] = number_of.get(label, label)
            committed.append(Committed(self._window[name], self._identity[name]))
        self._next_identity += len(number_of)
        return committed

    def _solve(self, ordered: Sequence[Passage]) -> Array:
        """Labels int64 (N,); those from the next identity on are new ones."""
        fixed = np.array([self._identity.get(_name(p), -1) for p in ordered], np.int64)
        found = candidates(ordered, self.scene, self.config, self._current_model())
        labels = solve(found, found.evidence.constraints, fixed)
        is_new = ~np.isin(labels, fixed[fixed >= 0])
        return np.where(is_new, labels - labels.min(initial=0) + self._next_identity, labels)

    def _current_model(self) -> SceneModel:
        """The scene model, fitted again if enough of the history is new."""
        if self._model is None or self._not_fitted >= self.REFIT_SHARE * len(self._history):
            self._model = fit_scene_model(in_order(list(self._history.values())), self.scene, self.config)
            self._not_fitted = 0
        return self._model

    def _forget(self, before_s: float) -> None:
        for name in [n for n, p in self._window.items() if n in self._identity and p.tracklet.end_s < before_s]:
            del self._window[name], self._identity[name]


def _name(passage: Passage) -> Name:
    return passage.tracklet.camera_id, passage.tracklet.track_id


def _longest_gap_s(scene: Scene, config: AssociateConfig) -> float:
    """Longest time out of sight that any candidate may have, seconds."""
    choices = config.graph
    if not scene.links:
        return max(config.max_gap_s, choices.max_extrapolation_s)
    along_links = max(link.max_s for link in scene.links) + choices.travel_time_slack_s
    return max(along_links, choices.max_unlinked_gap_s, choices.max_extrapolation_s)
