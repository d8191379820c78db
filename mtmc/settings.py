"""The base of every stage's configuration: frozen, and strict about unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Settings"]


class Settings(BaseModel):
    """A frozen group of choices. An unknown key or a value of the wrong type is an error.

    Each stage declares its own subclass beside the code that reads it; :mod:`mtmc.config` composes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
