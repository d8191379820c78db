"""The choices of where models come from."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["ModelsConfig"]


class ModelsConfig(Settings):
    """Where downloaded models lie, and whether the network may be used."""

    folder: Path | None = Field(
        default=None,
        description="Folder of downloaded models; null: $MTMC_MODELS, else $XDG_CACHE_HOME/mtmc/models, else "
        "~/.cache/mtmc/models.",
    )
    offline: bool = Field(
        default=False,
        description="Never use the network: auto takes a model that is at hand. $MTMC_OFFLINE=1 says the same.",
    )

    @property
    def cache_folder(self) -> Path:
        """Where downloaded models lie."""
        if self.folder is not None:
            return self.folder.expanduser()
        if named := os.environ.get("MTMC_MODELS"):
            return Path(named).expanduser()
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(caches).expanduser() / "mtmc" / "models"

    @property
    def may_download(self) -> bool:
        """Whether the network may be used."""
        forbidden = os.environ.get("MTMC_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")
        return not self.offline and not forbidden
