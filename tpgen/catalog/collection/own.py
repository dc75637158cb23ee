"""Kernels of this user: storing those of a file under their names, and removing some."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase

from tpgen.basics.progress import counted
from tpgen.catalog.collection.merge import merge, pick_to
from tpgen.catalog.read import Catalog
from tpgen.catalog.store import make_user_directory, path_of, stored_kernels
from tpgen.diagnostics import Diagnostic, TpgenError, fail
from tpgen.kernel.options import CATALOG_SUFFIX
from tpgen.output import replacing
from tpgen.paths import catalog_files, user_catalogs


def add_all(path: str) -> list[str]:
    """Keep each kernel of a file under its name; return the names.

    All of them are written before the first is put in place. Raises `TpgenError`: what is wrong with the file, `usage`
    for a name that means a shipped kernel, `unwritable`.
    """
    catalog = Catalog(path)
    names = [info.name for info in catalog.kernels]
    catalog.file.close()
    if not names:
        raise fail("unknown-kernel", "no kernel in this catalog", path)
    places = {name: path_of(name) for name in names}
    make_user_directory()
    with ExitStack() as files:
        for name, place in counted("copying kernels", places.items()):
            pick_to(files.enter_context(replacing(place)), path, name)
    return names


def remove(patterns: Sequence[str]) -> list[str]:
    """Remove the user's kernels with these names or globs; return their names.

    A file that cannot be read goes by its own name. Raises `TpgenError` `unknown-kernel` where one of the patterns
    means none of the user's, and then nothing is removed; `unwritable`.
    """
    known, _ = stored_kernels()
    kernels: dict[str, set[str]] = {}
    for item in known:
        if not item.shipped:
            kernels.setdefault(item.path, set()).add(item.info.name)
    unread = {path: _stem(path) for path in catalog_files(user_catalogs()) if path not in kernels}
    chosen: set[str] = set()
    faults: list[Diagnostic] = []
    for pattern in patterns:
        names = {name for of_file in (*kernels.values(), unread.values()) for name in of_file}
        if not (found := {name for name in names if fnmatchcase(name, pattern)}):
            faults += _unknown(pattern, [item.info.name for item in known if item.shipped]).diagnostics
        chosen |= found
    if faults:
        raise TpgenError(*faults)
    for path in [path for path, name in unread.items() if name in chosen]:
        _unlink(path)
    for path, held in kernels.items():
        if held <= chosen:
            _unlink(path)
        elif held & chosen:
            merge(path, [path], leave_out=chosen)
    return sorted(chosen)


def _unknown(pattern: str, shipped: Sequence[str]) -> TpgenError:
    if any(fnmatchcase(name, pattern) for name in shipped):
        hint = "shipped kernels cannot be removed; `tpgen catalog list` shows which are yours"
    else:
        hint = "`tpgen catalog list` lists all"
    return fail("unknown-kernel", f"no kernel of yours is called {pattern!r}", hint=hint)


def _stem(path: str) -> str:
    return os.path.basename(path).removesuffix(CATALOG_SUFFIX)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # somebody else removed it
    except OSError as error:
        raise fail("unwritable", f"cannot remove: {error.strerror or error}", path) from None
