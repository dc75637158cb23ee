"""Which backends there are."""

from __future__ import annotations

from tpgen.backends.base import Backend
from tpgen.diagnostics import fail


def backend(name: str) -> Backend:
    """The backend of that name. Raises `TpgenError` `unknown-backend`."""
    if name == "bpf":
        from tpgen.backends.bpf import BpfBackend

        return BpfBackend()
    raise fail("unknown-backend", f"no backend {name!r}", hint="there is bpf")
