"""The symbol index of a tree: which headers define a type, a macro or an enumerator, the likeliest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment
from tpgen.sources.headers.preprocessor.macros import Macro
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.types.definitions import Definitions
from tpgen.sources.headers.types.include_graph import IncludeGraph, IncludePaths, bits_of, numbers_of
from tpgen.sources.headers.types.name_search import NameSearch
from tpgen.sources.headers.types.symbols import HeaderSymbols, SymbolTable

# The definitions of a header take ten times the memory of its text, and most headers are queried for one name.
_MOST_OPEN = 32


class SymbolIndex:
    """The symbols of the trace headers at `trace_headers` and of the headers around them.

    `environment` decides their conditions. `search` finds headers that none of these includes.
    """

    def __init__(
        self,
        trace_headers: Iterable[str],
        include_paths: IncludePaths,
        environment: MacroEnvironment,
        table: SymbolTable,
        search: NameSearch,
    ) -> None:
        self.search = search
        self.graph = IncludeGraph(trace_headers, include_paths, table, self._add)
        self._environment = environment
        self._table = table
        # The numbers of the headers that may define a type's name; mostly it is one.
        self._types: dict[bytes, int | tuple[int, ...]] = {}
        # The macros and enumerators of each header, one a line: ten times as many names, and few are ever looked up.
        self._constants: list[bytes] = []
        self._definitions: dict[str, Definitions] = {}
        # For a constant the headers that were searched, and those of them that may define it.
        self._searched: dict[bytes, tuple[int, int]] = {}

    def defining(self, name: str, context_path: str, *, constant: bool = False) -> Iterator[list[str]]:
        """Yield the headers that may define `name`, in groups, the likelier for the header `context_path` first.

        With `constant` the name may be a macro's or an enumerator's, else it is a type's.
        """
        found = 0
        for group in self.graph.groups(context_path):
            if headers := self._among(group, name.encode(), constant) & ~found:
                yield self.graph.paths(headers)
                found |= headers

    def _among(self, group: int, name: bytes, constant: bool) -> int:
        """Return those of a group that may define a type of that name, or with `constant` a macro or an enumerator."""
        known = self._types.get(name, ())
        defining = bits_of(known if isinstance(known, tuple) else (known,))
        if constant:
            searched, found = self._searched.get(name, (0, 0))
            line, constants = b"\n%s\n" % name, self._constants
            found |= bits_of(number for number in numbers_of(group & ~searched) if line in constants[number])
            self._searched[name] = searched | group, found
            defining |= found
        return defining & group

    def last_macro(self, name: str, context_path: str) -> Macro | None:
        """Return the definition of a macro that counts behind the one header which is the likeliest to define it.

        Trace headers define their lists' macros anew for each use. None where several headers are as likely, and where
        nobody knows which definitions are compiled.
        """
        paths = next(self.defining(name, context_path, constant=True), [])
        macros = self.open(paths[0]).macros(name) if len(paths) == 1 else []
        return macros[-1] if macros and all(macro.presence.value for macro in macros) else None

    def option(self, name: str) -> int | None:
        """Return the value of an option of the kernel's configuration; None where that is unknown."""
        return self._environment.value(name)

    def open(self, path: str) -> Definitions:
        """Return the definitions of the header at `path`, which `defining` named."""
        found = self._definitions.pop(path, None)
        if found is None:
            found = Definitions(Source(path, self._table.text(path)), self._environment)
            if len(self._definitions) == _MOST_OPEN:
                del self._definitions[next(iter(self._definitions))]
        # The one that was used last stands last, the first is dropped when there are too many.
        self._definitions[path] = found
        return found

    def _add(self, symbols: HeaderSymbols) -> None:
        """Add the symbols of the next header."""
        number = len(self._constants)
        for name in symbols.types.split(b"\n")[1:-1]:
            known = self._types.get(name)
            if known is None:
                self._types[name] = number
            else:
                self._types[name] = (*known, number) if isinstance(known, tuple) else (known, number)
        self._constants.append(symbols.constants)
