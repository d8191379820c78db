import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from mtmc.errors import MtmcError
from mtmc.files import atomic_path


def test_the_file_appears_whole_with_its_folders(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with suppress(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_no_space_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(MtmcError, match=r"a\.txt: cannot write .*No space.*; free some space") as caught:  # noqa: SIM117
        with atomic_path(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.path == target
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_ours_passes_through(tmp_path: Path) -> None:
    with pytest.raises(MtmcError, match=r"^mine$"), atomic_path(tmp_path / "a.txt"):
        raise MtmcError("mine")


@pytest.mark.parametrize("where", ["folder", "file/a.txt"])
def test_something_in_the_way(tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(MtmcError, match="choose another"), atomic_path(tmp_path / where):
        pass


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
