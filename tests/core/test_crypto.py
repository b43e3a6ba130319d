"""Secrets in hand and at rest, and tokens that can be told from noise."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import re
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern.core.crypto import (
    CannotOpen,
    Place,
    Secret,
    SecretBox,
    contains_secret,
    looks_like_token,
    new_token,
    redact,
)

VALUE = "sk-svcacct-Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"
OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}
PLACE = Place("key_versions", "sealed", "kv_1")


class TestSecret:
    @pytest.mark.parametrize(
        "shown",
        [repr, str, "{}".format, "{!r}".format, "{:>40}".format, "%s".__mod__, lambda s: f"{s}", lambda s: f"{s!s:.5}"],
    )
    def test_has_no_text_form(self, shown) -> None:
        assert VALUE not in shown(Secret(VALUE))
        assert VALUE[3:14] not in shown(Secret(VALUE))

    def test_stays_hidden_inside_containers_and_errors(self) -> None:
        held = {"value": Secret(VALUE), "list": [Secret(VALUE)]}
        with pytest.raises(RuntimeError) as caught:
            raise RuntimeError(held)
        assert VALUE not in "".join(traceback.format_exception(caught.value))

    def test_stays_hidden_in_logs(self, caplog: pytest.LogCaptureFixture) -> None:
        logging.getLogger("test").warning("made %s and %r", Secret(VALUE), Secret(VALUE))
        assert VALUE not in caplog.text

    @pytest.mark.parametrize("how", [pickle.dumps, copy.deepcopy, json.dumps, vars, dict, bytes, list])
    def test_is_not_copied_out(self, how) -> None:
        with pytest.raises((TypeError, ValueError)) as caught:
            how(Secret(VALUE))
        assert VALUE not in str(caught.value)

    def test_json_default_str_does_not_show_it(self) -> None:
        assert VALUE not in json.dumps({"value": Secret(VALUE)}, default=str)

    def test_compares_by_value_and_only_with_secrets(self) -> None:
        assert Secret("a") == Secret("a")
        assert Secret("a") != Secret("b")
        assert Secret("a") != "a"
        assert len({Secret("a"), Secret("a"), Secret("b")}) == 2

    def test_reveals_when_it_is_meant(self) -> None:
        assert Secret(VALUE).reveal() == VALUE


class TestSecretBox:
    @given(st.text(max_size=300))
    def test_opens_what_it_sealed(self, text: str) -> None:
        box = SecretBox(OLD)
        assert box.open(box.seal(Secret(text), PLACE), PLACE) == Secret(text)

    def test_seals_the_same_value_differently_each_time(self) -> None:
        box = SecretBox(OLD)
        first, second = box.seal(Secret(VALUE), PLACE), box.seal(Secret(VALUE), PLACE)
        assert first.split(".")[2] != second.split(".")[2]
        assert first.split(".")[3] != second.split(".")[3]

    @pytest.mark.parametrize(
        "elsewhere",
        [Place("key_versions", "sealed", "kv_2"), Place("key_versions", "other", "kv_1"), Place("webhooks", "sealed", "kv_1")],
    )
    def test_a_value_moved_to_another_place_does_not_open(self, elsewhere: Place) -> None:
        box = SecretBox(OLD)
        with pytest.raises(CannotOpen):
            box.open(box.seal(Secret(VALUE), PLACE), elsewhere)

    def test_a_data_key_swapped_between_rows_does_not_open(self) -> None:
        box, other = SecretBox(OLD), Place("key_versions", "sealed", "kv_2")
        mine, theirs = box.seal(Secret(VALUE), PLACE).split("."), box.seal(Secret("theirs"), other).split(".")
        for mixed in ([*mine[:2], theirs[2], mine[3]], [*mine[:3], theirs[3]]):
            for place in (PLACE, other):
                with pytest.raises(CannotOpen):
                    box.open(".".join(mixed), place)

    def test_every_changed_character_is_noticed(self) -> None:
        box = SecretBox(OLD)
        sealed = box.seal(Secret("x"), PLACE)
        for index, character in enumerate(sealed):
            # The last character of a base64 part may carry unused bits; change it to one that differs in the used ones.
            changed = sealed[:index] + ("A" if character not in "ABCDEFGHIJKLMNOP" else "z") + sealed[index + 1 :]
            with pytest.raises(CannotOpen):
                box.open(changed, PLACE)

    @pytest.mark.parametrize("broken", ["", "v1", "v1.old.x.y", "v2.old.AAAA.AAAA", "v1.old.é.ü", "v1.old.A.A", "a.b.c.d.e"])
    def test_nonsense_does_not_open(self, broken: str) -> None:
        with pytest.raises(CannotOpen):
            SecretBox(OLD).open(broken, PLACE)

    def test_another_ring_does_not_open_even_under_the_same_name(self) -> None:
        sealed = SecretBox(OLD).seal(Secret(VALUE), PLACE)
        for ring in (NEW, {"old": b"x" * 32}):
            with pytest.raises(CannotOpen):
                SecretBox(ring).open(sealed, PLACE)

    def test_rotation_opens_the_old_and_seals_with_the_new(self) -> None:
        sealed = SecretBox(OLD).seal(Secret(VALUE), PLACE)
        rotated = SecretBox(NEW | OLD)
        assert rotated.open(sealed, PLACE) == Secret(VALUE)
        assert rotated.seal(Secret(VALUE), PLACE).startswith("v1.new.")
        assert rotated.active == "new"

    def test_fingerprints_outlive_a_rotation_and_differ_by_purpose(self) -> None:
        before, after = SecretBox(OLD), SecretBox(NEW | OLD)
        assert before.fingerprint("token", VALUE) == after.fingerprint("token", VALUE)
        assert before.fingerprint("token", VALUE) != before.fingerprint("key", VALUE)
        assert before.fingerprint("token", VALUE) != SecretBox(NEW).fingerprint("token", VALUE)
        assert re.fullmatch("[0-9a-f]{64}", before.fingerprint("token", VALUE))

    @pytest.mark.parametrize("ring", [{}, {"short": b"x" * 31}, {"bad id": b"x" * 32}, {"dot.ted": b"x" * 32}, {"": b"x" * 32}])
    def test_an_unusable_ring_is_refused(self, ring: dict[str, bytes]) -> None:
        with pytest.raises(ValueError, match="sealing key"):
            SecretBox(ring)

    def test_shows_no_key_bytes(self) -> None:
        assert "nnn" not in repr(SecretBox(NEW))


class TestTokens:
    def test_a_fresh_token_looks_like_one(self) -> None:
        seen = {new_token().reveal() for _ in range(200)}
        assert len(seen) == 200
        assert all(looks_like_token(token) and re.fullmatch(r"gov_[0-9A-Za-z]{49}", token) for token in seen)

    def test_any_changed_character_breaks_the_checksum(self) -> None:
        token = new_token().reveal()
        for index in range(len("gov_"), len(token)):
            other = "A" if token[index] != "A" else "B"
            assert not looks_like_token(token[:index] + other + token[index + 1 :]), index

    def test_swapped_neighbours_break_the_checksum(self) -> None:
        token = new_token().reveal()
        index = next(i for i in range(5, 40) if token[i] != token[i + 1])
        assert not looks_like_token(token[:index] + token[index + 1] + token[index] + token[index + 2 :])

    @pytest.mark.parametrize("change", [str.lower, lambda t: t + "0", lambda t: t[:-1], lambda t: f" {t}", lambda t: t + "\n"])
    def test_other_shapes_are_refused(self, change) -> None:
        assert not looks_like_token(change(new_token().reveal()))

    def test_a_token_of_another_kind_is_refused(self) -> None:
        assert not looks_like_token(new_token("govs").reveal())
        assert looks_like_token(new_token("govs").reveal(), "govs")


class TestShapesOfSecrets:
    SECRETS = (
        VALUE,
        "sk-proj-abcDEF123456_-abcDEF123456",
        "sk-admin-abcDEF123456_-abcDEF123456",
        "sk-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL",
        "gov_" + "A1" * 24 + "z",
        "govs_" + "A1" * 24 + "z",
    )

    @pytest.mark.parametrize("secret", SECRETS)
    @pytest.mark.parametrize(
        "around", ["{}", "Bearer {}", "key={}&x=1", '{{"value":"{}"}}', "line\n{}\n", "a,{},b", "({})", "_{}"]
    )
    def test_are_found_and_taken_out(self, secret: str, around: str) -> None:
        text = around.format(secret)
        assert contains_secret(text)
        assert contains_secret(json.dumps([text]))
        assert secret[8:] not in redact(text)

    @pytest.mark.parametrize("glued", ["%20", "%3D", "x", "7"])
    def test_are_found_where_something_sticks_to_them(self, glued: str) -> None:
        assert contains_secret(glued + VALUE)
        assert VALUE[12:] not in redact(glued + VALUE)

    @pytest.mark.parametrize(
        "innocent",
        [
            "task-automation-production", "risk-management-team", "desk-booking-service-2026", "disk-usage-reports",
            "The governor_of_the_island_of_all_the_islands", "gov_short", "sk-", "sk-test", "proj_abcdefghijklmnopqrstuvwxyz",
        ],
    )  # fmt: skip
    def test_ordinary_words_are_no_secrets(self, innocent: str) -> None:
        """A project with such a name must be able to hold keys: the audit refuses what looks like a secret."""
        assert not contains_secret(innocent)
        assert redact(innocent) == innocent
