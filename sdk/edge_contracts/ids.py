"""Names that cross a boundary, each its own type, so that a wrong one cannot be written down.

Every type is a `str` that checks itself when made. The patterns leave out `/`, `+`, `#` and `..`, so that an id can
stand in a topic, a path or a URL.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class InvalidId(ValueError):
    """A text is not a valid id of its type."""


class _Id(str):
    __slots__ = ()
    pattern: ClassVar[re.Pattern[str]]
    max_length: ClassVar[int] = 64
    example: ClassVar[str]

    def __new__(cls, value: str) -> Self:
        if len(value) > cls.max_length or not cls.pattern.fullmatch(value):
            raise InvalidId(f"{value[:80]!r} is not a {cls.__name__}; an example is {cls.example!r}")
        return super().__new__(cls, value)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(max_length=cls.max_length, pattern=f"^(?:{cls.pattern.pattern})$"),
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )


_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")


class DeviceId(_Id):
    """A device, unique in its tenant; also the common name of its certificate and its MQTT user."""

    pattern = _NAME
    example = "gate-7f3a"


class TenantId(_Id):
    """An owner of devices."""

    pattern = _NAME
    example = "default"


class ModelName(_Id):
    """A model through all its releases."""

    pattern = _NAME
    example = "keyword-spotting"


class VariantName(_Id):
    """A variant within its release."""

    pattern = _NAME
    example = "rpi4-litert-int8"


class ProfileName(_Id):
    """A hardware profile."""

    pattern = _NAME
    example = "rpi4-litert"


class DeploymentId(_Id):
    """A device's share of a rollout."""

    pattern = _NAME
    example = "d-01hzy0q4"


class Digest(_Id):
    """A SHA-256 digest in the form `sha256:<64 hex digits>`."""

    pattern = re.compile(r"sha256:[0-9a-f]{64}")
    max_length = 71
    example = "sha256:" + "0" * 64

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The digest of `data`."""
        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    @property
    def hex(self) -> str:
        """The 64 hexadecimal digits alone."""
        return self[7:]
