"""An OpenID provider for the demo and for tests: choose a person on a page, no passwords.

It speaks the part of OpenID Connect that a company's provider speaks to a web application: discovery, keys, the
code flow with PKCE, user information, logout started by the application, and back-channel logout. It can also be told
to misbehave, which a certified provider cannot.
"""

from __future__ import annotations

from govern.fakes.oidc.faults import Fault
from govern.fakes.oidc.provider import DemoProvider
from govern.fakes.oidc.records import Client, Delivery, Person

__all__ = ["Client", "Delivery", "DemoProvider", "Fault", "Person"]
