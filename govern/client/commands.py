"""`govern login`, `logout`, `key …` and `run`: for people who need a key, on their own machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from govern.client import vault as vaults
from govern.client.folder import Folder, Held, Profile, as_json
from govern.client.trouble import INPUT, NOT_POSSIBLE, SignedOut, Trouble, Unreachable, plain

if TYPE_CHECKING:
    from govern.client.keys import Keys
    from govern.client.server import Server, SignedIn

_SOON: Final = timedelta(days=7)


@contextmanager
def _told() -> Iterator[None]:
    """What this machine itself refuses, as a sentence."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Trouble(f"This machine did not do it: {error.strerror or type(error).__name__}{where}.", NOT_POSSIBLE) from None


def _machine() -> str:
    return socket.gethostname().partition(".")[0][:80] or "this machine"


def _where(profile: Profile, folder: Folder) -> vaults.Vault:
    if profile.url is None or profile.vault is None:
        raise SignedOut
    return vaults.open_vault(profile.vault, profile.url, folder)


def _keys(folder: Folder) -> Keys:
    from govern.client.keys import Keys
    from govern.client.server import Server, SignedIn

    profile = folder.read()
    vault = _where(profile, folder)
    server = Server(profile.url or "")
    click.get_current_context().call_on_close(server.close)
    return Keys(SignedIn(server, vault, folder), vault, folder)


@click.command()
@click.option("--url", envvar="GOVERN_URL", help="The server's address, such as https://govern.example.com. Remembered.")
@click.option("--browser", is_flag=True, help="Open the page in a browser of this machine.")
@click.option(
    "--store", type=click.Choice(["auto", vaults.KEYCHAIN, vaults.FILE]), default="auto", help="Where secrets are kept here."
)
def login(url: str | None, browser: bool, store: str) -> None:
    """Sign in on this machine, by approving a code on the dashboard. Nothing secret is typed or shown."""
    from govern.client import sign_in
    from govern.client.server import Server, SignedIn

    folder = Folder()
    with _told():
        profile = folder.read()
        address = url or profile.url
        if address is None:
            raise Trouble("Say where: govern login --url https://govern.example.com", INPUT)
        server = Server(address)
        click.get_current_context().call_on_close(server.close)
        if profile.url not in (None, server.url) and profile.vault is not None:
            raise Trouble(f"You are signed in at {profile.url}. Run `govern logout` first.", NOT_POSSIBLE)
        server.endpoints()
        vault = _chosen_vault(store, profile, server, folder)
        signed_in = SignedIn(server, vault, folder)
        if (email := _already(signed_in)) is not None:
            click.echo(f"You are signed in already, as {plain(email)}.")
            return
        asked = sign_in.ask(server, _machine())
        click.echo(f"Open       {asked.address}\nand enter  {asked.user_code}\n\nor open    {asked.complete}")
        minutes = round(asked.lasts / 60)
        click.echo(f"Waiting for your approval; the code is good for {minutes} minutes. Ctrl-C stops.", err=True)
        if browser:
            click.launch(asked.complete)
        signed_in.keep(sign_in.wait(server, asked))
        me = signed_in.call("GET", "/me")
        with folder.changed() as profile:
            profile.url, profile.vault, profile.email = server.url, vault.kind, me["email"]
        click.echo(f"Signed in as {plain(me['email'])}. Secrets are kept in {vault.where}.")
        places = ", ".join(plain(place["name"]) for place in me["projects"][:20])
        if places:
            click.echo(f"You may have a key in: {places}. Next: govern run --project … -- your-program")


def _chosen_vault(store: str, profile: Profile, server: Server, folder: Folder) -> vaults.Vault:
    kind = store
    if store == "auto":
        kind = profile.vault or (vaults.KEYCHAIN if vaults.keychain_works(server.url) else vaults.FILE)
    elif store == vaults.KEYCHAIN and not vaults.keychain_works(server.url):
        raise Trouble("There is no keychain on this machine, or it is locked. Use --store file.", NOT_POSSIBLE)
    chosen = vaults.open_vault(kind, server.url, folder)
    if profile.vault not in (None, kind):
        _move(_where(profile, folder), chosen, profile)
        with folder.changed() as changed:
            changed.vault = kind
    elif kind == vaults.FILE and profile.vault is None:
        click.echo(f"Secrets are going to be kept in a file: {chosen.where}, readable by your account alone.", err=True)
    return chosen


def _move(old: vaults.Vault, new: vaults.Vault, profile: Profile) -> None:
    from govern.client.keys import entry
    from govern.client.server import TOKENS

    for name in (TOKENS, *(entry(held.key_id) for held in profile.keys)):
        value = old.get(name)
        if value is not None:
            new.put(name, value)
            old.drop(name)


def _already(signed_in: SignedIn) -> str | None:
    try:
        return str(signed_in.call("GET", "/me")["email"])
    except SignedOut:
        return None


@click.command()
@click.option("--return-keys", is_flag=True, help="Also end the keys that this machine fetched.")
def logout(return_keys: bool) -> None:
    """Sign this machine out. Keys that it fetched stay, unless they are returned."""
    from govern.client.server import TOKENS

    folder = Folder()
    with _told():
        profile = folder.read()
        if profile.url is None or profile.vault is None:
            click.echo("You are not signed in.")
            return
        keys = _keys(folder)
        if return_keys:
            for held in profile.keys:
                _return(keys, held)
        elsewhere = None
        try:
            keys.signed_in.end()
        except Unreachable as trouble:
            keys.vault.drop(TOKENS)
            elsewhere = trouble
        with folder.changed() as profile:
            profile.email = None
            if not profile.keys:
                profile.vault, profile.url, profile.pending = None, None, {}
        if elsewhere is not None:
            raise Unreachable(f"This machine is signed out, but {elsewhere.message} End it on My page of the dashboard too.")
        click.echo("Signed out.")
        for held in profile.keys:
            click.echo(f"Your key “{plain(held.name)}” in {plain(held.project_name)} still works here with govern run.")


@click.group()
def key() -> None:
    """Fetch, see, rotate and return your own keys. Their values stay in the keychain."""


_project = click.option("--project", help="The project's name or id.")
_name = click.option("--name", help="The key's name; the machine's without it.")


@key.command()
@_project
@_name
@click.option("--days", type=click.IntRange(1, 365), help="How long it lives; as the policy has it without.")
@click.option("--reason", help="Why, for whoever has to approve what is beyond the policy.")
def get(project: str | None, name: str | None, days: int | None, reason: str | None) -> None:
    """Fetch your key of a project into the keychain; one is asked for where you have none."""
    folder = Folder()
    with _told():
        keys = _keys(folder)
        held, fresh = keys.get(project, name, machine=_machine(), days=days, reason=reason)
        word = "is now" if fresh else "is already"
        click.echo(f"Your key “{plain(held.name)}” for {plain(held.project_name)} {word} in {keys.vault.where}.")
        click.echo("Use it: govern run -- your-program")


@key.command()
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def status(json_wanted: bool) -> None:
    """The keys of this machine, as the server knows them now."""
    folder = Folder()
    with _told():
        rows = _keys(folder).states()
    if json_wanted:
        click.echo(as_json({"items": rows}))
        return
    if not rows:
        click.echo("This machine has no keys. Fetch one: govern key get --project …")
    for row in rows:
        expires = f", expires {row['expires_at'][:10]}" if row["expires_at"] else ""
        lost = "" if row["here"] else ", its value is not on this machine any more"
        newer = ", a newer value waits: govern key get" if row["newer"] else ""
        click.echo(plain(f"{row['project']}  {row['name']}  {row['state']}{expires}{lost}{newer}  {row['key']}"))


@key.command()
@_project
@_name
def rotate(project: str | None, name: str | None) -> None:
    """Replace the value by a new one. The old one goes on working for a little while."""
    folder = Folder()
    with _told():
        keys = _keys(folder)
        held = keys.rotate(_meant(folder, project, name))
        click.echo(f"The new value of “{plain(held.name)}” for {plain(held.project_name)} is in {keys.vault.where}.")
        click.echo("Programs that run already keep the old value; start them again.")


@key.command()
@_project
@_name
@click.option("--days", type=click.IntRange(1, 365), help="How long it then lives; as long as before without it.")
def renew(project: str | None, name: str | None, days: int | None) -> None:
    """Give a key that is about to expire a new term. Its value is a new one; the old one works on for a little while."""
    folder = Folder()
    with _told():
        keys = _keys(folder)
        held = keys.renew(_meant(folder, project, name), days)
        until = f" It lives until {held.expires_at[:10]}." if held.expires_at else ""
        click.echo(f"The new value of “{plain(held.name)}” for {plain(held.project_name)} is in {keys.vault.where}.{until}")
        click.echo("Programs that run already keep the old value; start them again.")


@key.command("return")
@_project
@_name
def give_back(project: str | None, name: str | None) -> None:
    """End a key that you no longer need, at once, and take its value off this machine."""
    folder = Folder()
    with _told():
        _return(_keys(folder), _meant(folder, project, name))


def _return(keys: Keys, held: Held) -> None:
    proven = keys.give_back(held)
    state = "revoked: proven gone at OpenAI" if proven else "cut off; the proof that it is gone at OpenAI is pending"
    click.echo(f"“{plain(held.name)}” for {plain(held.project_name)} is {state}.")


def _meant(folder: Folder, project: str | None, name: str | None) -> Held:
    from govern.client.keys import chosen_key

    held = chosen_key(folder.read(), project, name)
    if held is None:
        raise Trouble("This machine has no such key. See govern key status.", NOT_POSSIBLE)
    return held


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_project
@_name
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(project: str | None, name: str | None, command: tuple[str, ...]) -> None:
    """Run a program with OPENAI_API_KEY set for it alone: govern run -- python app.py

    The key comes out of the keychain; where there is none yet, it is fetched first.
    """
    from govern.client.keys import chosen_key, value_of
    from govern.client.run import run as become

    folder = Folder()
    with _told():
        profile = folder.read()
        vault = _where(profile, folder)
        held = chosen_key(profile, project, name)
        left = _left(held)
        if held is None or (left is not None and left <= timedelta(0)):
            held, _ = _keys(folder).get(project, name, machine=_machine())
            click.echo(f"Fetched your key for {plain(held.project_name)} into {vault.where}.", err=True)
        elif left is not None and left < _SOON:
            click.echo(f"This key expires in {left.days} days. Run `govern key renew`.", err=True)
        value = value_of(vault, held)
    become(command, value, os.environ)


def _left(held: Held | None) -> timedelta | None:
    if held is None or held.expires_at is None:
        return None
    try:
        at = datetime.fromisoformat(held.expires_at)
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)
