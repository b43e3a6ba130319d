"""Tell people something once: the notice is written where it came to be true, and `effects` delivers it after the commit."""

from __future__ import annotations

from collections.abc import Iterable

from govern.audit import service as audit
from govern.core import outbox
from govern.core.errors import Conflict, NotFound
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


def send_again(uow: UnitOfWork, delivery_id: str, *, about: str) -> NoticeDelivery:
    """Owe a delivery again that was given up. `about`: the id of what its notice tells of.

    Where it is no longer true by then it is dropped, as any other. Raises NotFound, Conflict (it is under way, or was sent).
    """
    row = uow.session.get(NoticeDelivery, delivery_id, with_for_update=True, populate_existing=True)
    if row is None or uow.session.get_one(Notice, row.notice_id).subject_id != about:
        raise NotFound(f"There is no delivery {delivery_id!r}.")
    if row.state is not DeliveryState.FAILED:
        raise Conflict("Only a delivery that was given up can be sent again.")
    row.state, row.attempts, row.settled_at = DeliveryState.PENDING, 0, None
    audit.record(uow, "notice.sent_again", ("notices", row.notice_id), delivery=row.id, channel=row.channel, address=row.address)
    outbox.enqueue(uow, "notice.deliver", row.id)
    return row
