"""The types that every kernel has, as kernel_headers/types.h states them: enough to lay out most records."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tpgen.model import CType, Typedef
from tpgen.paths import resource_dir
from tpgen.sources.cdecl import Declaration, parse_declarations
from tpgen.sources.headers.preprocessor.directives import structure
from tpgen.sources.headers.preprocessor.environment import FixedEnvironment
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.target import Target


@cache
def base_types(target: Target) -> Mapping[str, Typedef]:
    """Return the base typedefs by name, each resolved to its integer type on `target`."""
    path = resource_dir("kernel_headers") / "types.h"
    environment = FixedEnvironment({"CONFIG_64BIT": 1} if target.pointer_size == 8 else {})
    code = structure(Source(str(path), path.read_text("utf-8")), environment).code
    texts = [statement.strip().removeprefix("typedef ") for statement in code.split(";") if statement.strip()]
    types: dict[str, Typedef] = {}
    for text, declaration in parse_declarations(texts, target).items():
        assert isinstance(declaration, Declaration) and declaration.name, f"{path}: not a typedef: {text}"
        types[declaration.name] = Typedef(declaration.name, _resolved(declaration.type, types))
    return types


def _resolved(ctype: CType, earlier: Mapping[str, Typedef]) -> CType:
    return earlier[ctype.name] if isinstance(ctype, Typedef) else ctype
