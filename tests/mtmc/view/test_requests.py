"""Hostile requests over real connections; the full number is ``python -m tools.bench.view_requests``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mtmc.render.builders import flat_video
from tests.mtmc.view.town import town
from tools.bench import view_requests
from tools.bench.view_requests import attack, served


def test_hostile_requests_do_no_harm(tmp_path: Path) -> None:
    videos = tuple(flat_video(tmp_path / "town" / f"{name}.mp4", [20, 90] * 8) for name in ("c001", "c002"))
    (tmp_path / "town" / "scene.yaml").write_text("cameras: [{id: c001}]\n")
    with served(town(tmp_path / "town", videos=videos, vehicles=4), tmp_path) as target:
        statuses = attack(target, 800, seed=1)
    assert statuses[200] > 50
    assert statuses[404] > 20
    assert statuses[422] > 5


def test_harm_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = tuple(flat_video(tmp_path / "town" / f"{name}.mp4", [20, 90] * 8) for name in ("c001", "c002"))
    with served(town(tmp_path / "town", videos=videos, vehicles=4), tmp_path) as target:
        monkeypatch.setattr(view_requests, "CANARY", b"text/html")
        with pytest.raises(AssertionError, match="GET"):
            attack(target, 300, seed=1)
