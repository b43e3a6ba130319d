"""Fill in and send HTML forms over plain HTTP, as a browser without JavaScript does."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


@dataclass
class Form:
    """One form of a page: where it goes, the values that its fields hold, and its submit buttons as (name, value, text)."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


class _FormReader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.forms: list[Form] = []
        self._by_id: dict[str, Form] = {}
        self._open: Form | None = None
        self._owner: Form | None = None
        self._button: tuple[str, str] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self.address, given.get("action") or self.address)
            self._open = Form(action, given.get("method", "get").upper())
            self.forms.append(self._open)
            self._by_id[given.get("id", "")] = self._open
            return
        # A field outside may belong to a form by its id.
        owner = self._by_id.get(given["form"]) if "form" in given else self._open
        if owner is None:
            return
        if tag == "input" and given.get("name"):
            unticked = given.get("type") in ("checkbox", "radio") and "checked" not in given
            if not unticked:
                owner.fields[given["name"]] = given.get("value", "")
        elif tag == "button" and given.get("type", "submit") == "submit":
            self._owner, self._button, self._text = owner, (given.get("name", ""), given.get("value", "")), ""

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._text += f" {data}"

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._owner is not None and self._button is not None:
            self._owner.buttons.append((*self._button, " ".join(self._text.split())))
            self._button = None
        elif tag == "form":
            self._open = None


def forms(page: httpx.Response) -> list[Form]:
    """The forms of a page."""
    reader = _FormReader(str(page.url))
    reader.feed(page.text)
    return reader.forms


def submit(http: httpx.Client, page: httpx.Response, press: str = "", **values: str) -> httpx.Response:
    """Send the page's form with these values by the button whose text contains `press` (the first one by default).

    Redirects are followed. Raises LookupError when the page has no such form, button or field.
    """
    for form in forms(page):
        button = next((each for each in form.buttons if press in each[2]), None)
        if button is None:
            continue
        if unknown := values.keys() - form.fields.keys():
            raise LookupError(f"the form has no field {sorted(unknown)}, only {sorted(form.fields)}")
        data = form.fields | values | ({button[0]: button[1]} if button[0] else {})
        if form.method == "GET":
            return http.get(form.action, params=data, follow_redirects=True)
        origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
        return http.post(form.action, data=data, headers={"Origin": origin}, follow_redirects=True)
    raise LookupError(f"{page.url} has no form with a button {press!r}: {page.text[:500]}")
