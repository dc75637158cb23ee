"""The schemas of what `--json` prints, closed: in tests a key that no schema tells of is an error."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from tpgen.paths import resource_dir

SCHEMAS = resource_dir("templates") / "schemas"


def closed(schema: Any) -> Any:
    """The schema with every object closed that names its properties: a key that is not told of is one that it lacks."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: closed(part) for name, part in schema.items()}
    return {"additionalProperties": False, **parts} if "properties" in schema else parts


def validator(name: str) -> jsonschema.Draft202012Validator:
    """The validator for the command of that name."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(closed(schema))
