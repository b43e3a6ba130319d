from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import httpx
import pytest

from govern.fakes.mail import DemoMailbox


@pytest.fixture
def mailbox() -> Iterator[DemoMailbox]:
    with DemoMailbox() as mailbox:
        yield mailbox


def alert(subject: str = "search has used 85 % of its März budget", text: str = "85.00 of 100.00 USD\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "govern@corp.example"
    message["To"] = "Finance <fin@corp.example>"
    message["Subject"] = subject
    message.set_content(text)
    message.add_alternative("<p>85.00 <b>of</b> 100.00 USD</p>", subtype="html")
    return message


def send(mailbox: DemoMailbox, *messages: EmailMessage) -> None:
    with smtplib.SMTP(mailbox.host, mailbox.port, timeout=5) as smtp:
        for message in messages:
            smtp.send_message(message)


def pages(mailbox: DemoMailbox) -> httpx.Client:
    return httpx.Client(transport=httpx.WSGITransport(app=mailbox.app), base_url="http://mailbox.example")


def test_a_message_arrives_and_is_kept_parsed(mailbox: DemoMailbox) -> None:
    send(mailbox, alert())
    [mail] = mailbox.wait_for(1)
    assert mail.subject == "search has used 85 % of its März budget"
    assert (mail.sender, mail.recipients) == ("govern@corp.example", ("fin@corp.example",))
    assert mail.text == "85.00 of 100.00 USD\n"
    assert mail.received_at.tzinfo is not None


def test_the_pages_list_the_newest_first_and_show_the_text(mailbox: DemoMailbox) -> None:
    with pages(mailbox) as browser:
        assert "No mail yet." in browser.get("/").text
        send(mailbox, alert("first"), alert("second", "the text of the second"))
        listing = browser.get("/").text
        assert listing.index(">second<") < listing.index(">first<")
        assert "the text of the second" in browser.get("/2").text
        assert browser.get("/3").status_code == 404
        assert browser.get("/pages.css").status_code == 200


def test_what_came_is_shown_as_text_and_nothing_of_it_runs(mailbox: DemoMailbox) -> None:
    nasty = alert("<script>alert(1)</script>", "<img src=x onerror=alert(1)> {{ 7 * 7 }}")
    send(mailbox, nasty)
    with pages(mailbox) as browser:
        for path in ("/", "/1"):
            answer = browser.get(path)
            assert "<script" not in answer.text
            assert "<img" not in answer.text
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "{{ 7 * 7 }}" in browser.get("/1").text


def test_odd_messages_do_no_harm(mailbox: DemoMailbox) -> None:
    odd = b'Subject: odd\r\nContent-Type: text/plain; charset="made-up"\r\n\r\ncaf\xe9\r\n'
    html_only = b"Content-Type: text/html\r\n\r\n<p>hello</p>\r\n"
    with smtplib.SMTP(mailbox.host, mailbox.port, timeout=5) as smtp:
        for content in (odd, html_only, b""):
            smtp.sendmail("a@corp.example", ["b@corp.example"], content)
    empty, html, text = mailbox.wait_for(3)
    assert (text.text.strip(), html.text, empty.text) == ("caf\ufffd", "", "")
    with pages(mailbox) as browser:
        assert [browser.get(f"/{number}").status_code for number in (1, 2, 3)] == [200, 200, 200]
        assert "This message has no text part." in browser.get("/2").text


def test_it_forgets_on_request_and_does_not_grow_without_end() -> None:
    with DemoMailbox(keep=3) as mailbox:
        send(mailbox, *[alert(str(number)) for number in range(5)])
        assert [mail.subject for mail in mailbox.wait_for(5)] == ["4", "3", "2"]
        mailbox.clear()
        assert mailbox.mails == []


def test_waiting_for_mail_that_does_not_come_ends(mailbox: DemoMailbox) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 messages"):
        mailbox.wait_for(1, timeout=0.01)


def test_a_port_in_use_is_said_at_once_and_stopping_frees_it(mailbox: DemoMailbox) -> None:
    with pytest.raises(OSError, match="in use"):
        DemoMailbox(port=mailbox.port)
    mailbox.stop()
    mailbox.stop()
    with DemoMailbox(port=mailbox.port) as again:
        send(again, alert())
        assert len(again.wait_for(1)) == 1
