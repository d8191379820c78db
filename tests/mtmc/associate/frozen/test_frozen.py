"""The same passages still get the same identities, whatever was renamed, moved or made faster."""

from __future__ import annotations

import numpy as np
import pytest

from tests.mtmc.associate.frozen import FILES, VARIANTS, identities, load


def test_there_are_files() -> None:
    assert len(FILES) == 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("variant", VARIANTS)
def test_identities_are_those_of_the_file(path, variant) -> None:
    frozen = load(path)
    found = identities(frozen.passages, frozen.scene, VARIANTS[variant])
    np.testing.assert_array_equal(found, frozen.identities[variant])
