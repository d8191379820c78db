from __future__ import annotations

from pathlib import Path

import pytest

from mtmc.errors import ConfigError
from tools.synthcity.recipe import Recipe, load_recipe


def test_a_recipe_reads_back_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("place: roundabout\nseed: 4\nlabels: {min_visibility: 0.5}\n")
    recipe = load_recipe(tmp_path / "a.yaml", {"seed": 9})
    assert (recipe.place, recipe.seed, recipe.labels.min_visibility) == ("roundabout", 9, 0.5)
    assert Recipe.model_validate(recipe.model_dump()) == recipe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plaze: crossroads\n", "plaze"),
        ("duration_s: -1\n", "duration_s"),
        ("- 1\n", "expected keys and values"),
        ("a: [\n", "expected YAML"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=expected):
        load_recipe(tmp_path / "a.yaml")


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: expected a recipe file"):
        load_recipe(tmp_path / "none.yaml")
