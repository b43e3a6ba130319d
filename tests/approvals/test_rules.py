"""Who may decide what others ask for."""

from __future__ import annotations

import pytest

from govern.approvals.rules import DECIDE, Question, check_may_decide
from govern.core.errors import NotAllowed

EVERYTHING = frozenset({DECIDE, "keys:issue"})

# askers, for whom, named, permission; then who decides with what held; whether they may.
CASES = [
    ("an administrator, where nobody is named", {"eve"}, "eve", (), DECIDE, {"ada"}, EVERYTHING, True),
    ("without the permission", {"eve"}, "eve", (), DECIDE, {"max"}, frozenset(), False),
    ("somebody named, without any permission", {"eve"}, "eve", ("max",), DECIDE, {"max"}, frozenset(), True),
    ("the permission is another one", {"eve"}, "eve", (), "budgets:write", {"ada"}, frozenset({DECIDE}), False),
    ("whoever asked, though an administrator", {"ada"}, "eve", (), DECIDE, {"ada"}, EVERYTHING, False),
    ("whoever asked, though named", {"max"}, "eve", ("max",), DECIDE, {"max"}, EVERYTHING, False),
    ("for whom it is, though named", {"max"}, "eve", ("eve",), DECIDE, {"eve"}, EVERYTHING, False),
    ("through a token that the asker made", {"ada"}, None, (), DECIDE, {"max", "ada"}, EVERYTHING, False),
    ("the maker of the token that asked", {"eve", "ada"}, None, (), DECIDE, {"ada"}, EVERYTHING, False),
    ("only those named, and an administrator is not", {"eve"}, None, ("max",), None, {"ada"}, EVERYTHING, False),
    ("those named have all left: an administrator", {"eve"}, None, (), None, {"ada"}, EVERYTHING, True),
    ("the only one named asked for it: an administrator", {"max"}, None, ("max",), None, {"ada"}, EVERYTHING, True),
    ("the only one named asked for it: not they", {"max"}, None, ("max",), None, {"max"}, EVERYTHING, False),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_who_decides(case: tuple) -> None:
    _, askers, for_person, named, permission, people, held, may = case
    question = Question(frozenset(askers), for_person, frozenset(named), permission)
    if may:
        check_may_decide(question, people, held)
    else:
        with pytest.raises(NotAllowed):
            check_may_decide(question, people, held)
