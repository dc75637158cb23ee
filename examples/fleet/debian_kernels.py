#!/usr/bin/env python3
"""List the kernels that Debian's suites hold, for the workflow beside it.

    ./debian_kernels.py [--suite NAME]… [--arch NAME]… [--newest N] [--work DIR] > kernels.tsv

Of each suite, architecture and flavour the newest N kernels. A line is a package: the kernel's name, its architecture,
what the package is for, its SHA-256, its size and its address. Debian's lists are obtained through an apt root of its
own, so they are signed, and the system's are left alone; apt and debian-archive-keyring are all that it takes. A list
that cannot be had, or a kernel that is listed and not served, is named on stderr and left out.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import islice
from pathlib import Path

ARCHIVES = {"": "http://deb.debian.org/debian", "-security": "http://deb.debian.org/debian-security"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = (
    "bullseye bullseye-security bookworm bookworm-security bookworm-backports trixie trixie-security trixie-backports"
    " sid experimental"
).split()
ARCHITECTURES = "amd64 arm64 armhf i386 ppc64el riscv64 s390x".split()
# Debian builds these without BTF, some up to a Linux; their headers say what there is to say.
WITHOUT_BTF = {"armhf": (99, 0), "i386": (99, 0), "s390x": (6, 1)}
# The image, the modules and the configuration are one package, and since Linux 7 three.
_IMAGE = re.compile(r"linux-(?:image|binary)-(?P<release>\d[^-]*(?:-\d\S*?)??)-(?P<flavour>[a-z]\S*|686\S*)")
_PARTS = ("image", "binary", "modules", "base")


@dataclass(frozen=True)
class Package:
    """A package as a list has it."""

    name: str
    version: str
    sha256: str
    size: int
    url: str


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be obtained. `flavour` begins with the suite's Linux: `6.12 rt-amd64`."""

    name: str
    arch: str
    flavour: str
    version: str
    packages: tuple[tuple[str, Package], ...]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="List the kernels that Debian's suites hold.")
    parser.add_argument("--suite", action="append", help=f"default: {' '.join(SUITES)}")
    parser.add_argument("--arch", action="append", help=f"default: {' '.join(ARCHITECTURES)}")
    parser.add_argument("--newest", type=int, default=1, metavar="N", help="so many of each suite and flavour")
    parser.add_argument("--work", type=Path, help="keep the lists there")
    options = parser.parse_args(arguments)
    found: dict[str, Kernel] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for suite in options.suite or SUITES:
            for arch in options.arch or ARCHITECTURES:
                packages = list(_packages(suite, arch, options.work or Path(scratch)))
                for kernel in _newest(_kernels(packages, arch), options.newest):
                    found.setdefault(kernel.name, kernel)
    print("kernel", "arch", "distribution", "role", "sha256", "bytes", "url", sep="\t")
    for name in sorted(found):
        for role, of in found[name].packages:
            print(name, found[name].arch, "debian", role, of.sha256, of.size, of.url, sep="\t")
    return 0


def _packages(suite: str, arch: str, work: Path) -> Iterator[Package]:
    """What the list of a suite has of Linux."""
    archive = ARCHIVES["-security" if suite.endswith("-security") else ""]
    root = work / f"{suite}-{arch}"
    for part in ("state/lists/partial", "cache/archives/partial", "etc"):
        (root / part).mkdir(parents=True, exist_ok=True)
    (root / "etc/sources.list").write_text(f"deb [signed-by={KEYRING}] {archive} {suite} main\n")
    lists = root / "state/lists"
    if not any(lists.glob("*_Packages*")):
        _apt(root, arch, "apt-get", "update")
    for path in lists.glob("*_Packages*"):
        text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], capture_output=True, text=True).stdout
        for paragraph in text.split("\n\n"):
            if paragraph.startswith("Package: linux-"):
                of = dict(line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
                url = f"{archive}/{of['Filename']}"
                yield Package(of["Package"], of["Version"], of["SHA256"], int(of["Size"]), url)


def _apt(root: Path, arch: str, tool: str, *arguments: str) -> None:
    options = {
        "Dir::State": root / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": root / "cache",
        "Dir::Etc::sourcelist": root / "etc/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "Acquire::Languages": "none",
        "Acquire::GzipIndexes": "true",
        # A suite that is no longer updated has a Release file past its date.
        "Acquire::Check-Valid-Until": "false",
    }
    command = [tool, "-qq", *(f"-o{name}={value}" for name, value in options.items()), *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        print(f"{root.name}: {run.stderr.strip().splitlines()[0]}", file=sys.stderr)


def _kernels(packages: Sequence[Package], arch: str) -> Iterator[Kernel]:
    """The kernels among packages: each image with all that is needed to read it."""
    by_name = {(package.name, package.version): package for package in packages}
    for (name, version), package in by_name.items():
        match, series = _IMAGE.fullmatch(name), re.match(r"(\d+)\.(\d+)", version)
        # A meta package has no content of its own, and since Linux 7 an image has none either.
        if not match or not series or package.size < 1 << 20 or name.endswith(("-dbg", "-unsigned", "-template")):
            continue
        release = f"{match['release']}-{match['flavour']}"
        if (int(series[1]), int(series[2])) <= WITHOUT_BTF.get(arch, (0, 0)):
            role, names = "headers", _headers(match["release"], release, by_name, version)
        else:
            role, names = "package", [f"linux-{part}-{release}" for part in _PARTS]
        found = [by_name[name, version] for name in names if (name, version) in by_name]
        of_role = tuple((role, of) for of in found if of.size > 1 << 14)
        yield Kernel(f"debian-{release}", arch, f"{series[0]} {match['flavour']}", version, of_role)


def _headers(base: str, release: str, known: Container[tuple[str, str]], version: str) -> list[str]:
    """The packages with the headers of a kernel: those of all flavours, and its own with the configuration."""
    common = f"linux-headers-{base}-common"
    of_rt = f"{common}-rt"
    is_rt = release.removeprefix(base).startswith("-rt-") and (of_rt, version) in known
    return [of_rt if is_rt else common, f"linux-headers-{release}"]


def _newest(kernels: Iterable[Kernel], count: int) -> Iterator[Kernel]:
    """The newest of each flavour."""
    flavours = defaultdict(list)
    for kernel in kernels:
        flavours[kernel.flavour].append(kernel)
    for of_flavour in flavours.values():
        newest_first = sorted(of_flavour, key=cmp_to_key(_compare), reverse=True)
        yield from islice(filter(_is_served, newest_first), count)


def _is_served(kernel: Kernel) -> bool:
    """Whether all packages can be downloaded: of old suites an archive keeps lists longer than files."""
    for _, package in kernel.packages:
        try:
            with urllib.request.urlopen(urllib.request.Request(package.url, method="HEAD")):
                pass
        except urllib.error.URLError as error:
            print(f"{kernel.name}: {package.url}: {error}", file=sys.stderr)
            return False
    return True


def _compare(one: Kernel, other: Kernel) -> int:
    """Compare versions as dpkg does."""
    for relation, order in (("lt", -1), ("gt", 1)):
        if not subprocess.run(["dpkg", "--compare-versions", one.version, relation, other.version]).returncode:
            return order
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
