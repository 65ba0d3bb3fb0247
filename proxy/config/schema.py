"""The configuration's JSON Schema, for editors and for the reference page."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from proxy.config.models import Settings
from proxy.config.units import Address


class _Generator(GenerateJsonSchema):
    """Writes defaults as people write them."""

    def encode_default(self, dft: Any) -> Any:
        return str(dft) if isinstance(dft, Address) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    body = Settings.model_json_schema(schema_generator=_Generator)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **body,
        "title": "shadow-proxy configuration",
    }
