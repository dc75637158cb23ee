"""A site in a directory: what is there before, what stays, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.told_kernel import INT, ToldKernel, event

from tpgen.atlas.publish import checked_url, publish
from tpgen.atlas.site import Atlas
from tpgen.diagnostics import TpgenError


def atlas(*names: str) -> Atlas:
    return Atlas({"one": ToldKernel([event(name, {"a": INT}) for name in names])})


def test_what_is_no_more_is_removed(tmp_path: Path) -> None:
    publish(atlas("old", "kept"), str(tmp_path / "site"))
    own = tmp_path / "site" / "events" / "mine.html"
    own.write_text("mine")
    total = publish(atlas("kept"), str(tmp_path / "site"))
    assert not (tmp_path / "site/events/sys/old.html").exists()
    assert (tmp_path / "site/events/sys/kept.html").exists()
    assert own.read_text() == "mine"
    assert total.removed == 4  # the event's page, those of its letter, and the JSON beside both


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    publish(atlas("one"), str(tmp_path / "site"))
    assert publish(atlas("one"), str(tmp_path / "site")).changed == 0


def test_a_directory_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TpgenError, match=r"files that do not belong to an atlas \[usage\]"):
        publish(atlas("one"), str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_list_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    publish(atlas("one"), str(tmp_path / "site"))
    (tmp_path / "thesis.txt").write_text("mine")
    with (tmp_path / "site/files.txt").open("a") as file:
        file.write("../thesis.txt\n/etc/passwd\nevents/../../thesis.txt\n")
    publish(atlas("one"), str(tmp_path / "site"))
    assert (tmp_path / "thesis.txt").exists()


def test_a_run_that_fails_leaves_the_old_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(atlas("one"), str(tmp_path / "site"))
    before = {path: path.read_bytes() for path in (tmp_path / "site").rglob("*") if path.is_file()}

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tpgen.atlas.site.change_pages", fails)
    with pytest.raises(KeyboardInterrupt):
        publish(atlas("one", "two"), str(tmp_path / "site"))
    assert {path: path.read_bytes() for path in (tmp_path / "site").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "url",
    ["example.org", "ftp://example.org", "https://", "https:///atlas/", 'https://a"b', "https://a/?q", "https://a b"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(TpgenError, match="usage"):
        checked_url(url)


def test_an_address_ends_in_a_slash() -> None:
    assert checked_url("https://example.org/atlas") == "https://example.org/atlas/"
    assert checked_url(None) is None
