"""One of Debian's kernels, and what tpgen and the independent judges say of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from support.debian import Tree

from corpus.dumped import Image, images
from corpus.markers import FAMILY, Made, made_by_gcc
from tpgen.kernel.events import EventKey
from tpgen.kernel.resolve import Kernel
from tpgen.kernel.sources import HeaderOptions, Sources, open_files
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.read import read_headers
from tpgen.sources.images import btf_sections
from tpgen.target import target_named

# A driver's headers that use a field macro of its main header, and what that macro makes.
_LENT = {
    "drivers/infiniband/hw/hfi1/": "#define DD_DEV_ENTRY(dd) __string(dev, x)",
    "drivers/infiniband/sw/rdmavt/": "#define RDI_DEV_ENTRY(rdi) __string(dev, x)",
    "drivers/net/wireless/intel/iwlwifi/": "#define DEV_ENTRY __string(dev, x)",
}
OPTION = re.compile(r"\bCONFIG_\w+")


@dataclass(frozen=True)
class GccRuns:
    """What one header makes with every option that it names, and with none."""

    all_options: Made
    no_options: Made


@dataclass
class Case:
    """One of Debian's kernels: its source, its image, and what is asked of them, each once."""

    kernel: str
    tree: Tree
    scratch: Path

    @property
    def release(self) -> tuple[int, int]:
        major, minor = self.kernel.split(".")
        return int(major), int(minor)

    @cached_property
    def _using(self) -> dict[str, str]:
        return dict(_headers_that_use_the_family(self.tree.headers))

    @cached_property
    def headers(self) -> dict[str, str]:
        """The text of every header that uses a word of the family, by its path in the tree; found without tpgen."""
        return {path: text for path, text in self._using.items() if not path.startswith("tools/")}

    @cached_property
    def user_space(self) -> list[str]:
        """Such headers of tools/, which is no part of the kernel."""
        return sorted(self._using.keys() - self.headers.keys())

    @cached_property
    def options(self) -> dict[str, str]:
        """Every option that these headers name, set."""
        return dict.fromkeys(sorted({name for text in self.headers.values() for name in OPTION.findall(text)}), "y")

    def made(self, path: str, defined: tuple[str, ...]) -> Made:
        """What gcc makes of a header with these names defined, each a `NAME` or a `NAME=value`."""
        lent = next((lent for start, lent in _LENT.items() if path.startswith(start)), "")
        return made_by_gcc(self.headers[path], defined, self.release, lent)

    @cached_property
    def gcc(self) -> dict[str, GccRuns]:
        """Both runs of gcc for every header."""

        def run(path: str) -> GccRuns:
            named = tuple(sorted(set(OPTION.findall(self.headers[path]))))
            none = self.made(path, ())
            return GccRuns(self.made(path, named) if named else none, none)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(self.headers, pool.map(run, self.headers), strict=True))

    def read(self, config: dict[str, str] | None) -> HeaderFacts:
        """What tpgen reads in the whole tree, of all architectures."""
        return read_headers(str(self.tree.headers), target_named("x86_64"), config, every_arch=True)

    @cached_property
    def facts(self) -> HeaderFacts:
        """The same with all branches."""
        return self.read(None)

    @cached_property
    def sources(self) -> Sources:
        """The image's BTF, modules included, with its headers and its configuration."""
        btf = [str(path) for path in self.tree.btf]
        return open_files(btf, headers=HeaderOptions((str(self.tree.headers),), str(self.tree.config)), arch="amd64")

    @cached_property
    def resolved(self) -> Kernel:
        return Kernel(self.sources)

    @cached_property
    def keys(self) -> list[EventKey]:
        """Every event of the image."""
        return self.resolved.keys()

    @cached_property
    def headers_only(self) -> Kernel:
        """The kernel as its headers alone describe it."""
        headers, config = str(self.tree.headers), str(self.tree.config)
        return Kernel(open_files(headers=HeaderOptions((headers,), config), arch="amd64"))

    @cached_property
    def images(self) -> list[Image]:
        """vmlinux and the modules with tracepoints, as bpftool dumps them."""
        vmlinux, *modules = self.tree.btf
        return images(btf_sections(vmlinux.read_bytes(), str(vmlinux)).btf, modules, self.scratch, Image)

    def relative(self, path: str) -> str:
        """A path below the tree, counted from there."""
        return os.path.relpath(path, self.tree.headers)


def _headers_that_use_the_family(root: Path) -> Iterator[tuple[str, str]]:
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory, name)
            if name.endswith(".h") and path.is_file():
                raw = path.read_bytes()
                # The search for words takes long and every word of the family holds one of these.
                if b"_EVENT" in raw or b"DECLARE_TRACE" in raw:
                    text = raw.decode("utf-8", "replace")
                    if FAMILY.search(text):
                        yield str(path.relative_to(root)), text
