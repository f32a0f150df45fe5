"""A watched folder tells of files that come under their final names, and of no others."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from guestwire.linux.inotify import Watch


def test_what_is_renamed_into_a_folder_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with Watch([str(tmp_path / "a"), str(tmp_path / "b")]) as watch:
        (tmp_path / "a" / "new").write_text("x")
        assert not select.select([watch], [], [], 0)[0]
        (tmp_path / "a" / "new").rename(tmp_path / "b" / "whole")
        assert select.select([watch], [], [], 1)[0]
        assert watch.news() == [str(tmp_path / "b" / "whole")]
        assert watch.news() == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Watch([str(tmp_path / "none")])
