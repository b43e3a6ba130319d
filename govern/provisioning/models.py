"""ProvisionedUser: an account as the identity provider keeps it, beside the person that it stands for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime


class ProvisionedUser(Base):
    """What the provider said last. It goes when the provider deletes it; the person stays, with all that is recorded of them.

    `user_name` is case-folded. `active` is the provider's word: the person may be on their way out for other reasons, and
    where it turns true again during a removal, they return once that is proven. `version` counts changes (the ETag).
    `document` holds the attributes that are kept, as SCIM writes them.
    """

    __tablename__ = "provisioned_users"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), unique=True)
    user_name: Mapped[str] = mapped_column(sa.String(320), unique=True)
    external_id: Mapped[str | None] = mapped_column(sa.String(320), index=True)
    active: Mapped[bool]
    version: Mapped[int] = mapped_column(default=1)
    document: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    modified_at: Mapped[datetime] = mapped_column(UTCDateTime)
