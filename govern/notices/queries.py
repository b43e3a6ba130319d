"""Reads of notices."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.notices.models import Notice, NoticeDelivery


def about(session: Session, subject_ids: Collection[str]) -> Sequence[tuple[Notice, NoticeDelivery]]:
    """What was told about these things and to whom, the newest first."""
    query = sa.select(Notice, NoticeDelivery).join(NoticeDelivery, NoticeDelivery.notice_id == Notice.id)
    found = query.where(Notice.subject_id.in_(subject_ids)).order_by(Notice.id.desc(), NoticeDelivery.id)
    return [(row[0], row[1]) for row in session.execute(found)]
