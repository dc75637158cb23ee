"""The options that name a kernel, in one table: every other list of them is made from it or checked against it.

The options of every command, the keys of `[kernel.NAME]` in tpgen.toml, the words, arguments and dependencies of a
build and the options with which generated output may be cached are made from it. tests/unit/kernel/test_request.py
checks the fields of `KernelRequest`, the keywords of `tpgen.api.open_kernel` and the table in README.md against it.

Runs that find nothing to do read it, so it is plain data but for one function, and this module imports nothing.
"""

from __future__ import annotations

# --- kinds of values

#: A kernel by its name: live, a release, a catalog file.
KERNEL = "kernel"
#: A file or a directory to read; any of them is the kernel.
PATH = "path"
#: A word about those files.
WORD = "word"
#: A word that picks events of the kernel.
PICK = "pick"
#: An option without a value.
FLAG = "flag"

# --- cache roles: what decides about a run besides the option's own text

#: Nothing: the text is all there is to it.
TEXT = "text"
#: Whatever the name means at the time.
NAMED = "named kernel"
#: The content of the file.
FILE = "file"
#: The files below the directory whose names end as `TREES` has it, in one of several ways.
FORMATS, HEADERS = "format files", "headers"
TREES = {FORMATS: "format", HEADERS: ".h Makefile"}
#: The option is about caches itself, and no part of what they depend on.
UNCACHED = "uncached"


#: How the name of a catalog file ends.
CATALOG_SUFFIX = ".tpgen"


class KernelOption:
    """A row of the table: `name` is that of the field, the keyword and the key, `flag` that on a command line."""

    __slots__ = ("cache", "flag", "help", "kind", "metavar", "name", "repeatable")

    def __init__(
        self, name: str, flag: str, kind: str, repeatable: bool, metavar: str | None, cache: str, help: str
    ) -> None:
        self.name = name
        self.flag = flag
        self.kind = kind
        self.repeatable = repeatable
        self.metavar = metavar
        self.cache = cache
        self.help = help


_ROWS = (
    # name, flag, kind, repeatable, metavar, cache role, help
    ("kernel", "--kernel", KERNEL, True, "K", NAMED,
     "live: the running kernel, the default if it has BTF; a release such as 6.12; a catalog file, for all kernels in "
     "it; a glob such as 'debian-*-amd64'; repeatable"),
    ("btf", "--btf", PATH, True, "FILE", FILE,
     "BTF of a kernel or module: raw, vmlinux, .ko or vmlinuz; repeatable"),
    ("tracefs", "--tracefs", PATH, False, "DIR", FORMATS, "a tracefs mount, or a copy of one"),
    ("headers", "--headers", PATH, True, "DIR", HEADERS,
     "a kernel source tree, linux-headers, or trace headers; repeatable"),
    ("config", "--config", PATH, False, "FILE", FILE, "the .config or autoconf.h that decides the headers' #if"),
    ("defines", "-D", WORD, True, "NAME[=VALUE]", TEXT, "a macro to define for the headers' #if; repeatable"),
    ("undefines", "-U", WORD, True, "NAME", TEXT, "a macro to undefine for the headers' #if; repeatable"),
    ("release", "--release", WORD, False, "R", TEXT, "the kernel's uname -r, if the files do not contain it"),
    ("no_cache", "--no-cache", FLAG, False, None, UNCACHED, "neither read nor write the cache"),
    ("arch", "--arch", WORD, False, "NAME", TEXT, "the target architecture, if no BTF shows it"),
    ("module", "--module", PICK, False, "NAME", TEXT, "if several events have the name, the one of this module"),
)  # fmt: skip

KERNEL_OPTIONS = tuple(KernelOption(*row) for row in _ROWS)


def split_catalog(name: str) -> tuple[str, str | None]:
    """The file and the kernel of `FILE.tpgen:KERNEL`; of any other name of a kernel that name, and None."""
    path, colon, kernel = name.rpartition(":")
    return (path, kernel) if colon and path.endswith(CATALOG_SUFFIX) else (name, None)


def options_of(*kinds: str) -> list[KernelOption]:
    """The options of these kinds, in the order of the table."""
    return [option for option in KERNEL_OPTIONS if option.kind in kinds]
