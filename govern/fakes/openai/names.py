"""Invented people and projects. Addresses are under the reserved top-level domain `.example` and reach nobody."""

from __future__ import annotations

import unicodedata
from typing import Final

CAST: Final = (
    ("Ada Admin", "ada@acme.example", "owner"),
    ("Eve Employee", "eve@acme.example", "reader"),
    ("Ola Auditor", "ola@acme.example", "reader"),
    ("Max Manager", "max@acme.example", "reader"),
)
_GIVEN: Final = (
    "Aarav", "Adaeze", "Aiko", "Alejandro", "Alice", "Amara", "Amir", "Ana", "Anders", "Anh", "Anika", "Arjun",
    "Astrid", "Aylin", "Beatriz", "Benjamin", "Bilal", "Björn", "Camille", "Carlos", "Chiara", "Chloé", "Daniela",
    "David", "Divya", "Dmitri", "Eleni", "Elif", "Emeka", "Emil", "Emma", "Esra", "Ewa", "Farah", "Fatima", "Felix",
    "Femi", "Freya", "Gabriela", "Giulia", "Grace", "Hana", "Hans", "Haruto", "Hassan", "Helena", "Hiro", "Ibrahim",
    "Ines", "Ingrid", "Isabel", "Ivan", "Jakub", "Javier", "Jia", "Jonas", "José", "Julia", "Kaito", "Karim",
    "Katarzyna", "Kavya", "Kenji", "Khadija", "Kofi", "Kwame", "Lars", "Laura", "Layla", "Leila", "Lena", "Li",
    "Liam", "Lin", "Linnea", "Louise", "Luca", "Lucía", "Magnus", "Malik", "Maria", "Marta", "Mateo", "Maya", "Mei",
    "Mia", "Miguel", "Min-jun", "Mohammed", "Nadia", "Nia", "Nikolai", "Noah", "Nour", "Olena", "Oliver", "Omar",
    "Oskar", "Paolo", "Petra", "Priya", "Rafael", "Rahul", "Ravi", "Rosa", "Sana", "Sara", "Sofia", "Søren", "Tariq",
    "Thandiwe", "Theo", "Tomás", "Uma", "Valentina", "Viktor", "Wei", "Yara", "Yuki", "Yusuf", "Zainab", "Zoë",
    "Zofia",
)  # fmt: skip
_FAMILY: Final = (
    "Abe", "Adeyemi", "Ahmed", "Ali", "Almeida", "Andersson", "Bakker", "Banerjee", "Becker", "Bianchi", "Blom",
    "Brown", "Carvalho", "Chen", "Cohen", "Costa", "Dahl", "Das", "Delgado", "Dubois", "Eriksson", "Evans",
    "Fernández", "Ferrari", "Fischer", "Fofanah", "García", "Gomes", "González", "Gupta", "Haddad", "Hansen",
    "Hernández", "Hoffmann", "Horvat", "Huang", "Hughes", "Ito", "Ivanova", "Jansen", "Jensen", "Johansson", "Jones",
    "Kaya", "Khan", "Kim", "Kimura", "Klein", "Kowalski", "Kumar", "Larsen", "Lee", "Lefebvre", "Li", "Lindqvist",
    "López", "Mäkinen", "Martin", "Mbeki", "Mendes", "Meyer", "Moreau", "Moretti", "Müller", "Mwangi", "Nakamura",
    "Nguyen", "Nielsen", "Novák", "Ochieng", "Okafor", "Okonkwo", "Oliveira", "Olsen", "Park", "Patel", "Pereira",
    "Petrov", "Popescu", "Rao", "Reyes", "Ricci", "Rossi", "Roy", "Ruiz", "Sahin", "Saito", "Santos", "Sato",
    "Schmidt", "Sharma", "Silva", "Singh", "Smith", "Sokolov", "Sørensen", "Suzuki", "Takahashi", "Tan", "Thomas",
    "Torres", "Tran", "Tshabalala", "Usman", "Vargas", "Vos", "Wagner", "Wang", "Weber", "Williams", "Wójcik", "Wong",
    "Yamamoto", "Yılmaz", "Zhang", "Zhao", "Ziegler", "Zulu",
)  # fmt: skip
PROJECTS: Final = (
    "Search", "Support bot", "Docs assistant", "Code review", "Data labelling", "Sales insights", "Fraud signals",
    "Translation", "Meeting notes", "HR helpdesk", "Marketing copy", "Knowledge base", "Invoice reader",
    "Voice agent", "Recommendations", "Legal review", "Incident summaries", "Onboarding buddy", "Analytics chat",
    "Mobile app", "Research sandbox", "Content moderation", "Email triage", "Contract search", "Product descriptions",
    "Churn model", "Image studio", "Pricing lab", "Field service", "Partner portal", "Compliance checks",
    "Forecasting", "Ticket routing", "Release notes", "Video captions", "Security copilot", "Quality assurance",
    "Learning hub", "Procurement helper", "Developer portal",
)  # fmt: skip
ACCOUNTS: Final = (
    ("prod-api", "service"),
    ("ci-runner", "assistant"),
    ("nightly-batch", "pipeline"),
    ("indexer", "search"),
    ("agent-runtime", "agents"),
    ("media-worker", "studio"),
    ("staging-api", "service"),
    ("etl", "pipeline"),
)
KEY_NAMES: Final = ("laptop", "my key", "notebook", "dev", "test", "local", "experiments", "vscode", "Secret Key", "tmp")


def person(index: int) -> tuple[str, str]:
    """The name of the n-th invented person and the local part of their address; no two addresses are the same."""
    round_, place = divmod(index, len(_GIVEN) * len(_FAMILY))
    given, family = _GIVEN[place % len(_GIVEN)], _FAMILY[(place * 60 + place // len(_GIVEN)) % len(_FAMILY)]
    return f"{given} {family}", f"{_plain(given)}.{_plain(family)}{round_ + 1 if round_ else ''}"


def project(index: int) -> str:
    base = PROJECTS[index % len(PROJECTS)]
    return base if index < len(PROJECTS) else f"{base} {index // len(PROJECTS) + 1}"


def _plain(word: str) -> str:
    word = word.replace("ø", "o").replace("ı", "i").replace("ł", "l")
    return "".join(c for c in unicodedata.normalize("NFKD", word).lower() if c.isascii() and (c.isalpha() or c == "-"))
