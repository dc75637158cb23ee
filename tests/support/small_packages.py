"""Packages of the small kernel, for pages that read some: `python -m support.small_packages NAME…`.

The first of the names gets the image, each other a module. Those that end in .deb are Debian's, the others are RPMs.
"""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from support.btf_builder import SIGNED, BtfBuilder, bzimage, elf
from support.packages import make_deb, make_rpm
from support.small_kernel import small_btf


def write_packages(names: list[str]) -> None:
    """Write the packages into the current directory; the release is in the first of the names."""
    found = re.search(r"\d+\.\d+[\w.+-]*(?=\.(?:deb|rpm))", names[0])
    assert found is not None
    release = found[0]
    for number, name in enumerate(names):
        files = {f"boot/vmlinuz-{release}": bzimage(gzip.compress(elf({".BTF": small_btf().blob()})))}
        if number:
            files = {f"lib/modules/{release}/kernel/small{number}.ko": _module(f"in_module_{number}")}
        with TemporaryDirectory() as root:
            for path, content in files.items():
                (Path(root) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(root) / path).write_bytes(content)
            (make_deb if name.endswith(".deb") else make_rpm)(Path(root), Path(name).resolve())


def _module(event: str) -> bytes:
    """A module with BTF that has one tracepoint."""
    b = BtfBuilder(base=small_btf())
    b.event(event, [("number", b.integer("int", 4, SIGNED))])
    return elf({".text": b"\x90", ".BTF": b.blob()})


if __name__ == "__main__":
    write_packages(sys.argv[1:])
