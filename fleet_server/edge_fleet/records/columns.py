"""The base of all tables, and column types that turn stored text into the checked types of the contracts and back."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import JSON, DateTime, Dialect, Enum, MetaData, String
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from edge_contracts.ids import (
    DeploymentId,
    DeviceId,
    Digest,
    ModelName,
    ProfileName,
    TenantId,
    VariantName,
)

IdType = TypeVar("IdType", DeploymentId, DeviceId, Digest, ModelName, ProfileName, TenantId, VariantName)
Model = TypeVar("Model", bound=BaseModel)


class UtcColumn(TypeDecorator[datetime]):
    """A moment; kept in UTC, always with its zone in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """A time without a zone is a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite gives times back without their zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class IdColumn(TypeDecorator[IdType], Generic[IdType]):
    """An id of the contracts, checked when it is read."""

    impl = String
    cache_ok = True

    def __init__(self, kind: type[IdType]) -> None:
        super().__init__(kind.max_length)
        self.kind: type[IdType] = kind

    def process_bind_param(self, value: IdType | None, dialect: Dialect) -> str | None:
        """The plain text: drivers look at the exact type."""
        return None if value is None else str.__str__(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> IdType | None:
        """The checked id."""
        return None if value is None else self.kind(value)


class ModelColumn(TypeDecorator[Model], Generic[Model]):
    """A frozen pydantic value, stored as JSON."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def __init__(self, kind: type[Model]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Model | None, dialect: Dialect) -> Any:
        """Its JSON form."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> Model | None:
        """The value, validated again."""
        return None if value is None else self.kind.model_validate(value)


class WordsColumn(TypeDecorator[tuple[str, ...]]):
    """A short list of words, stored as JSON."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> Any:
        """A JSON list of plain texts."""
        return None if value is None else [str.__str__(word) for word in value]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        """A tuple, so that nobody changes a row's list unnoticed."""
        return None if value is None else tuple(value)


class Row(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcColumn,
        dict[str, str]: JSON,
        tuple[str, ...]: WordsColumn,
        enum.Enum: Enum(
            enum.Enum, native_enum=False, length=32, values_callable=lambda kind: [item.value for item in kind]
        ),
        DeploymentId: IdColumn(DeploymentId),
        DeviceId: IdColumn(DeviceId),
        Digest: IdColumn(Digest),
        ModelName: IdColumn(ModelName),
        ProfileName: IdColumn(ProfileName),
        TenantId: IdColumn(TenantId),
        VariantName: IdColumn(VariantName),
    }
