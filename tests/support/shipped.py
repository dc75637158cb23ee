"""Kernels of the shipped catalog that tests of several are about.

The glob `debian-*-amd64` means other flavours and newer kernels as well, which would cost more than they show.
"""

from __future__ import annotations

#: Debian's plain kernels for amd64, one of each Linux.
AMD64 = ("debian-5.10-amd64", "debian-6.1-amd64", "debian-6.12-amd64", "debian-7.2-amd64")
#: The options that name them.
AMD64_OPTIONS = tuple(word for name in AMD64 for word in ("--kernel", name))
