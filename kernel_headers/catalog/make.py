"""Makes the catalog that ships with tpgen, from the packages of recipe.toml and nothing else.

    python kernel_headers/catalog/make.py [--packages DIR] [--recipe FILE] [-o FILE]

Packages that DIR lacks are downloaded into it. A package with another checksum stops the work. The same packages make
the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tpgen.catalog.build import Entry, add_kernel  # noqa: E402
from tpgen.catalog.write import CatalogWriter  # noqa: E402
from tpgen.diagnostics import TpgenError  # noqa: E402
from tpgen.kernel.request import KernelRequest  # noqa: E402
from tpgen.sources.packages import package_files  # noqa: E402

# What tpgen reads of a kernel's source: headers, Makefiles, the verifier's table of NULLs, and definitions of system
# calls. Of C files only those that can define one are kept.
_HEADER = re.compile(r".*\.h|(?:.*/)?Makefile|kernel/bpf/btf\.c")
_SYSCALLS = b"SYSCALL_DEFINE"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Make the catalog that ships with tpgen.")
    parser.add_argument("--packages", type=Path, default=Path.home() / ".cache" / "tpgen-tests" / "packages")
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "debian.tpgen")
    options = parser.parse_args(arguments)
    recipe = tomllib.loads(options.recipe.read_text(encoding="utf-8"))
    writer = CatalogWriter()
    for source, kernels in _by_source(recipe["kernel"]):
        with tempfile.TemporaryDirectory(prefix="tpgen-catalog-") as tree:
            if "repository" in source:
                _check_out(source, options.packages, Path(tree))
            else:
                _unpack(_package(recipe, source, options.packages), Path(tree))
            for kernel in kernels:
                print(kernel["name"], flush=True)
                packages = [_package(recipe, entry, options.packages) for entry in kernel.get("packages", ())]
                try:
                    _add(writer, kernel, packages, tree)
                except TpgenError as error:
                    print(*error.diagnostics, sep="\n", file=sys.stderr)
                    return 2
    writer.save(str(options.output))
    return 0


def _package(recipe: Mapping[str, Any], entry: Mapping[str, str], directory: Path) -> Path:
    """The package file of an entry, which has the checksum that the entry says."""
    path = directory / entry["path"].rpartition("/")[2]
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        url = recipe["archives"][entry["archive"]] + urllib.parse.quote(entry["path"])
        urllib.request.urlretrieve(url, partial)
        partial.rename(path)
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != entry["sha256"]:
        sys.exit(f"{path}: its SHA-256 is {found}, the recipe says {entry['sha256']}")
    return path


def _check_out(source: Mapping[str, str], directory: Path, tree: Path) -> None:
    """The files below the source's `path` in a commit of its repository, whose name is the checksum of all."""
    repository = directory / f"{source['commit']}.git"
    if not repository.exists():
        partial = repository.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        # Files of tracefs are small.
        fetch = ("fetch", "-q", "--depth=1", "--filter=blob:limit=64k", "origin", source["commit"])
        for words in (("init", "-q", "--bare"), ("remote", "add", "origin", source["repository"]), fetch):
            subprocess.run(["git", f"--git-dir={partial}", *words], check=True)
        partial.rename(repository)
    command = ("git", f"--git-dir={repository}", "archive", "--format=tar", f"{source['commit']}:{source['path']}")
    files = subprocess.run(command, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=files, check=True)


def _by_source(kernels: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, str], list[Mapping[str, Any]]]]:
    """The kernels by name, those together that are built from one source, so that it is unpacked once."""
    by_name = sorted(kernels, key=lambda kernel: str(kernel["name"]))
    for source, of_source in itertools.groupby(by_name, lambda kernel: dict(kernel["source"])):
        yield source, list(of_source)


def _add(writer: CatalogWriter, kernel: Mapping[str, Any], packages: Sequence[Path], tree: str) -> None:
    """Add one kernel; `tree` has the part of its source that is read, or the copy of a tracefs."""
    if packages:
        request = KernelRequest(headers=(tree,), arch=kernel["arch"], no_cache=True)
    else:
        tracefs = os.path.join(tree, kernel["tracefs"])
        request = KernelRequest(tracefs=tracefs, arch=kernel["arch"], release=kernel["release"], no_cache=True)
    paths, distribution = tuple(map(str, packages)), kernel.get("distribution", "debian")
    entry = Entry(request, paths, kernel["name"], distribution=distribution, syscalls=bool(packages))
    unread = add_kernel(writer, entry, print)
    for diagnostic in unread:
        print(diagnostic, file=sys.stderr)
    if packages and unread:  # what others recorded may have a gap
        sys.exit(2)


def _unpack(package: Path, tree: Path) -> None:
    """What tpgen reads of a linux-source package, whose only large file is an archive of its own."""
    for name, read in package_files(str(package)):
        if re.fullmatch(r"usr/src/linux-source-[^/]*\.tar\.xz", name):
            with tarfile.open(fileobj=io.BytesIO(read()), mode="r|xz") as archive:
                for member in archive:
                    _unpack_member(archive, member, tree)


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, tree: Path) -> None:
    name = member.name.partition("/")[2]
    wanted = bool(_HEADER.fullmatch(name))
    if not member.isfile() or not (wanted or name.endswith(".c")) or ".." in name.split("/"):
        return
    file = archive.extractfile(member)
    assert file is not None
    data = file.read()
    if wanted or _SYSCALLS in data:
        path = tree / name
        os.makedirs(path.parent, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
