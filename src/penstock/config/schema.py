"""The configuration described: as JSON schema for editors, and as Markdown for the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from penstock.config.environment import OPTION_TABLES, variable
from penstock.config.model import Config, sections

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of `penstock.toml`, the profiles included."""
    schema = Config.model_json_schema()
    tables: dict[str, Any] = {name: schema["$defs"][model.__name__] for name, model in sections().items()}
    # A profile repeats any key and needs none.
    overlay = {name: {key: part for key, part in table.items() if key != "required"} for name, table in tables.items()}
    schema["properties"]["profiles"] = {
        "description": "Values over those above, for the profile chosen by --profile or PENSTOCK_PROFILE.",
        "type": "object",
        "additionalProperties": {"type": "object", "properties": overlay, "additionalProperties": False},
    }
    return {"$schema": DRAFT, **schema}


def reference() -> str:
    """Markdown: a table of keys for each section."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for name, model in sections().items():
        yield f"## `[{name}]`\n\n{(model.__doc__ or '').strip()}\n"
        yield "| key | type | default | meaning | variable |\n|---|---|---|---|---|"
        properties = model.model_json_schema()["properties"]
        for key, field in model.model_fields.items():
            cells = (f"`{key}`", _type(properties[key]), _default(field), field.description, _variables(name, key))
            yield f"| {' | '.join(str(cell) for cell in cells)} |"
        yield ""


def _type(shape: dict[str, Any]) -> str:
    if "enum" in shape:
        return " or ".join(f"`{choice}`" for choice in shape["enum"])
    kinds = [option.get("type") for option in shape.get("anyOf", [shape])]
    if shape.get("format") == "path" or any(option.get("format") == "path" for option in shape.get("anyOf", [])):
        return "path"
    word = {"object": "table", "string": "text", "integer": "number", "boolean": "true or false"}
    bounds = [f"≥ {shape['minimum']}"] if "minimum" in shape else []
    bounds += [f"≤ {shape['maximum']}"] if "maximum" in shape else []
    return " ".join([*(word[kind] for kind in kinds if kind in word), ", ".join(bounds)]).strip()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, "", {}) or isinstance(field.default, SecretStr):
        return "none"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _variables(section: str, key: str) -> str:
    name = variable((section, key))
    return f"`{name}__<OPTION>`" if key in OPTION_TABLES else f"`{name}`"
