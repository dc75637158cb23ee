"""Catalog files as SQLite has them: opening one that may come from anywhere, and making one with just these tables."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from _thread import get_ident  # threading takes longer to import
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote
from weakref import finalize

from tpgen.cache.fingerprint import stamp_of
from tpgen.catalog.schema import APPLICATION_ID, FORMAT, STATEMENTS
from tpgen.diagnostics import TpgenError, fail, unreadable

_Value = TypeVar("_Value")

# A thousand kernels take a hundredth of it. A file can say of itself that it is larger than any disk.
_BIGGEST_FILE = 1 << 33
_BIGGEST_VALUE = 1 << 20
# Steps of SQLite's machine; to read six kernels takes a thousandth of them. A corrupt tree of pages may have no end.
_STEPS, _MOST_STEPS = 1_000_000, 2_000


class CatalogFile:
    """An opened file with the tables of a catalog. `path` names it in messages.

    Raises `TpgenError`: `unreadable`; `catalog-foreign` for a file that is no catalog; `catalog-format` for one of
    another version of the format; `catalog-malformed` for one that is damaged or was changed, also later, by whoever
    finds it so.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection = _Connection(path)
        _check_head(path)
        # Python's connections refer to themselves, so that nothing but a garbage collection would close them.
        finalize(self, self._connection.close)
        found = {sql for (sql,) in self.rows("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
        if found != set(STATEMENTS):
            raise self.malformed("its tables are not those that tpgen makes")

    def malformed(self, what: str) -> TpgenError:
        return fail("catalog-malformed", f"damaged or changed catalog: {what}", self.path)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a query finds. Raises `catalog-malformed`."""
        try:
            return self._connection.get().execute(query, values).fetchall()
        except (sqlite3.Error, ValueError, OverflowError) as error:  # of text that is no UTF-8, ValueError
            raise self.malformed(str(error)) from None

    def restart(self) -> None:
        """Allow as many steps as for a file that was just opened: for one more of its kernels."""
        self._connection.steps.done = 0

    def close(self) -> None:
        """Close the file until it is read again."""
        self._connection.close()

    def value(self, check: Callable[..., _Value], *values: Any) -> _Value:
        """The value that `check`, a function of `validate`, returns. Raises `catalog-malformed`."""
        try:
            return check(*values)
        except (ValueError, RecursionError) as error:
            raise self.malformed(str(error)) from None


class CheckedValues(dict[Any, _Value]):
    """Results of a check for each value that was looked up: most values of a catalog stand in it many times.

    Looking up a value raises `catalog-malformed` where the check refuses it.
    """

    def __init__(self, catalog: CatalogFile, check: Callable[[Any], _Value]) -> None:
        self._catalog = catalog
        self._check = check

    def __missing__(self, value: Any) -> _Value:
        found = self[value] = self._catalog.value(self._check, value)
        return found

    def opt(self, value: Any) -> _Value | None:
        """Return the result for a value, None for NULL."""
        return None if value is None else self[value]


class _Steps:
    """Interrupt a connection after too many steps. A method of the catalog, which owns it, would never be freed."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> bool:
        self.done += 1
        return self.done > _MOST_STEPS


class _Connection:
    """The connection to a file. It is closed where others are wanted, and made again when it is used."""

    def __init__(self, path: str) -> None:
        self.steps = _Steps()
        self._path = os.path.abspath(path)
        self._stamp = stamp_of(self._path)
        self._made: sqlite3.Connection | None = None
        self._open: dict[_Connection, None] = {}

    def get(self) -> sqlite3.Connection:
        """The connection. Raises `ValueError` where the file is another one than before, `sqlite3.Error`."""
        return self._made or self._make()

    def _make(self) -> sqlite3.Connection:
        if stamp_of(self._path) != self._stamp:
            raise ValueError("it was changed while it was read")
        self._open = _open.setdefault(get_ident(), {})
        while len(self._open) >= _MOST_OPEN:
            next(iter(self._open)).close()
        # Nobody changes a catalog in place, so there is nothing to lock and no journal to play back.
        uri = f"file:{quote(self._path)}?mode=ro&immutable=1"
        made = sqlite3.connect(uri, uri=True, isolation_level=None)
        made.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _BIGGEST_VALUE)
        made.set_progress_handler(self.steps, _STEPS)
        made.execute("PRAGMA trusted_schema = OFF")
        self._made = made
        self._open[self] = None
        return made

    def close(self) -> None:
        """Close the connection until it is used again."""
        if self._made is not None:
            self._open.pop(self, None)
            self._made.close()
            self._made = None


# Of so many files a thread has connections at a time: a process may have 1024 open.
_MOST_OPEN = 200
# The connections of each thread, which no other may close, the oldest first.
_open: dict[int, dict[_Connection, None]] = {}


def _check_head(path: str) -> None:
    """Refuse what is no catalog before SQLite looks at it."""
    try:
        # A FIFO must not be waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status, head = os.fstat(file.fileno()), file.read(100)
    except OSError as error:
        raise unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode) or not head.startswith(b"SQLite format 3\0"):
        raise fail("catalog-foreign", "not a catalog", path, "`tpgen catalog export` makes one")
    user_version, application = int.from_bytes(head[60:64], "big"), int.from_bytes(head[68:72], "big")
    if application != APPLICATION_ID:
        raise fail("catalog-foreign", "an SQLite file, but not a catalog", path, "`tpgen catalog export` makes one")
    if user_version != FORMAT:
        made = "a newer" if user_version > FORMAT else "an older"
        message = f"made by {made} tpgen: format {user_version}, this one reads {FORMAT}"
        raise fail("catalog-format", message, path, "make it again with this tpgen")
    page_size = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big") * (1 << 16 if page_size == 1 else page_size)
    if status.st_size != pages:
        raise fail("catalog-malformed", f"{status.st_size} bytes long instead of {pages}", path, "was it cut?")
    if status.st_size > _BIGGEST_FILE:
        raise fail("catalog-malformed", f"larger than {_BIGGEST_FILE >> 20} MiB", path)


@contextlib.contextmanager
def new_file(path: str) -> Iterator[sqlite3.Connection]:
    """Make a catalog of an empty file that nobody else looks at: its tables are filled in the block.

    The same rows make the same bytes, in whichever order they are inserted. Raises `OSError`.
    """
    try:
        # As long as the file is not complete it is in nobody's sight: there is nothing that a journal could protect.
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN")
            for statement in STATEMENTS:
                connection.execute(statement)
            yield connection
            connection.execute("COMMIT")
            connection.execute("VACUUM")
        _settle(path)
    except sqlite3.Error as error:
        raise OSError(error.sqlite_errorcode, str(error)) from None


# A build of SQLite may have other defaults than the first two.
_PRAGMAS = (
    "page_size = 4096", "auto_vacuum = NONE", "journal_mode = OFF", "synchronous = OFF",
    f"application_id = {APPLICATION_ID}", f"user_version = {FORMAT}",
)  # fmt: skip


def _settle(path: str) -> None:
    """Take out what differs from one SQLite to the next."""
    with open(path, "r+b") as file:
        for offset, number in _SETTLED.items():
            file.seek(offset)
            file.write(number.to_bytes(4, "big"))


# Two numbers that must agree, of transactions, and the version of the SQLite that wrote the file last, which is only
# for people to look at. Source: https://www.sqlite.org/fileformat.html
_SETTLED = {24: 1, 92: 1, 96: 3_040_000}
