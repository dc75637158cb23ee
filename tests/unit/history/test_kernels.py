"""The order of kernels, and which follows which, by releases as distributions write them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tpgen.history.kernels import Ordered, ordered
from tpgen.kernel.events import KernelEvents
from tpgen.target import target_named


def order(*kernels: tuple[str, str | None, str]) -> Ordered:
    """The order of kernels, each by its name, its release and its architecture."""
    made: dict[str, Any] = {
        name: SimpleNamespace(
            release=release, target=target_named(arch), info=SimpleNamespace(name=name, distribution="debian")
        )
        for name, release, arch in kernels
    }
    return ordered(cast(dict[str, KernelEvents], made))


def followed(found: Ordered) -> dict[str, str | None]:
    """By the name of each kernel the one that it follows; with a `?` where that is of another family."""
    names = [kernel.name for kernel in found.kernels]
    return {
        name: None if before is None else names[before] + ("" if near else "?")
        for name, before, near in zip(names, found.follows, found.in_family, strict=True)
    }


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("5.9.16", "5.10.3"), ("6.1.0-9-amd64", "6.1.0-57-amd64"), ("6.12-rc3", "6.12"),
        ("6.12~rc3-amd64", "6.12-amd64"),
        ("6.12.0", "6.12.1"), ("5.14.0-427.13.1.el9_4.x86_64", "5.14.0-503.el9.x86_64"),
        ("6.8.0-31-generic", "6.8.0-101-generic"), ("6.12.9", "6.12.107+deb13-amd64"),
    ],
)  # fmt: skip
def test_older_ones_come_first(older: str, newer: str) -> None:
    for kernels in ((older, newer), (newer, older)):
        found = order(*((name, name, "x86_64") for name in kernels))
        assert [kernel.name for kernel in found.kernels] == [older, newer]
        assert followed(found)[newer] == older


@pytest.mark.parametrize(
    ("release", "arch", "family"),
    [
        ("6.12.118+deb13-amd64", "amd64", "x86_64"), ("6.12.118+deb13-rt-amd64", "amd64", "rt x86_64"),
        ("6.12.117+deb13-arm64-16k", "arm64", "16k aarch64"), ("6.1.0-50-686-pae", "i386", "pae i386"),
        ("6.12.107+deb13-powerpc64le", "ppc64el", "ppc64le"), ("6.8.0-1012-aws", "amd64", "aws x86_64"),
        ("6.11.4-301.fc41.x86_64", "amd64", "x86_64"), ("6.9.0-rc3-gdeadbeef", "amd64", "x86_64"),
        (None, "amd64", "x86_64"),
    ],
)  # fmt: skip
def test_families(release: str | None, arch: str, family: str) -> None:
    (kernel,) = order(("k", release, arch)).kernels
    assert kernel.family == f"debian {family}"


def test_a_name_tells_the_flavour_where_the_release_does_not() -> None:
    (kernel,) = order(("debian-6.1-686-pae", "6.1.176", "i386")).kernels
    assert kernel.family == "debian pae i386"


def test_each_follows_one_of_its_family_or_the_plain_one() -> None:
    found = order(
        ("new-rt", "6.12.118+deb13-rt-amd64", "amd64"), ("new", "6.12.118+deb13-amd64", "amd64"),
        ("new-arm", "6.12.118+deb13-arm64", "arm64"), ("new-s390", "6.12.118+deb13-s390x", "s390x"),
        ("old", "6.1.0-57-amd64", "amd64"), ("old-rt", "6.1.0-57-rt-amd64", "amd64"),
        ("old-cloud", "6.1.0-57-cloud-amd64", "amd64"), ("unknown", None, "amd64"),
    )  # fmt: skip
    assert [kernel.name for kernel in found.kernels] == [
        "old-cloud", "old-rt", "old", "new-rt", "new-arm", "new-s390", "new", "unknown",
    ]  # fmt: skip
    assert followed(found) == {
        "old": None, "old-rt": "old?", "old-cloud": "old?", "new": "old", "new-rt": "old-rt",
        "new-arm": "new?", "new-s390": "new?", "unknown": "new",
    }  # fmt: skip
    assert found.unplaced == ("unknown",)
