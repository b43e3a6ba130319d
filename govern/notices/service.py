"""Tell people something once: the notice is written where it came to be true, and `effects` delivers it after the commit."""

from __future__ import annotations

from collections.abc import Iterable

from govern.audit import service as audit
from govern.core import outbox
from govern.core.inserting import insert_one
from govern.core.uow import UnitOfWork
from govern.notices.models import Channel, DeliveryState, Notice, NoticeDelivery
from govern.notices.words import Words, one_line


def tell(
    uow: UnitOfWork, kind: str, mark: str, subject: tuple[str, str], words: Words, *, addresses: Iterable[str]
) -> Notice | None:
    """Tell these mail addresses, unless a notice of this kind and mark was told already, by whomever (then None).

    `subject` is a pair (kind, id); the link of `words` begins with a slash.
    """
    row = {
        "id": uow.new_id("not"), "kind": kind, "mark": mark, "subject_kind": subject[0], "subject_id": subject[1],
        "headline": one_line(words.headline)[:200], "lead": words.lead[:1000], "details": list(words.details),
        "link": words.link, "link_label": words.link_label, "created_at": uow.now,
    }  # fmt: skip
    if not insert_one(uow.session, Notice, row):
        return None
    told = list(dict.fromkeys(address[:320] for address in addresses))
    for address in told:
        delivery = NoticeDelivery(
            id=uow.new_id("ndl"), notice_id=str(row["id"]), channel=Channel.EMAIL, address=address, state=DeliveryState.PENDING,
            attempts=0, created_at=uow.now,
        )  # fmt: skip
        uow.session.add(delivery)
        outbox.enqueue(uow, "notice.deliver", delivery.id)
    audit.record(uow, "notice.told", subject, kind=kind, mark=mark, to=told)
    return uow.session.get_one(Notice, str(row["id"]))
