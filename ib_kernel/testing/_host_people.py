"""`HostStoreContract`, first part: people, tokens, invitations."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.errors import ConfigError, UnknownSession
from ib_kernel.testing._host_base import HostProcesses, Ledger, go, hear, invite, sha, token
from ib_kernel.testing._store_base import Clock, StoreBase, begin
from ib_kernel.values import Invitation


class PeopleAndTokens(StoreBase):
    """Who may come in, by name and by hash."""

    def test_people_come_and_go(self, store: Ledger, clock: Clock) -> None:
        """Somebody who is removed stays listed, may come again, and their tokens end at once."""
        grace = store.add_person("Grace", "coordinator", who="the host")
        store.add_person("Ada", "interviewer")
        assert [p.name for p in store.people()] == ["Ada", "Grace"]
        assert (grace.role, grace.removed_at) == ("coordinator", None)
        for kind in ("interviewer", "link"):
            store.add_grant(token(f"her {kind}", kind, "Grace"))
        store.add_grant(token("his", "interviewer", "Ada"))
        clock.step(5)
        assert store.remove_person("Grace", "Ada")
        assert not store.remove_person("Grace", "Ada")
        assert store.people()[1].removed_at == clock.now
        assert all(not g.valid(clock.now) for g in store.grants("Grace"))
        assert all(g.valid(clock.now) for g in store.grants("Ada"))
        assert store.add_person("Grace", "interviewer").removed_at is None

    @pytest.mark.parametrize(("name", "role"), [("", "interviewer"), (" ", "interviewer"), ("Ada", "boss")])
    def test_a_person_has_a_name_and_a_role(self, store: Ledger, name: str, role: Any) -> None:
        """Anything else is one line."""
        with pytest.raises(ConfigError):
            store.add_person(name, role)

    def test_two_people_do_not_share_a_name(self, store: Ledger) -> None:
        """The second one is asked for another."""
        store.add_person("Ada", "interviewer")
        with pytest.raises(ConfigError, match="there already"):
            store.add_person("Ada", "coordinator")

    def test_tokens_are_found_by_their_hash_only(self, store: Ledger, clock: Clock) -> None:
        """What has expired or was revoked is still there, and says so."""
        begin(store)
        given = token("t")
        store.add_grant(given)
        assert store.grant(sha("t")) == given
        assert store.grant(sha("another")) is None
        assert given.valid(clock.now)
        assert not given.valid(given.expires_at)
        assert store.revoke_grants(token_hash=sha("t"), who="Grace") == 1
        assert store.revoke_grants(token_hash=sha("t"), who="Grace") == 0
        found = store.grant(sha("t"))
        assert found is not None
        assert (found.revoked_at, found.valid(clock.now)) == (clock.now, False)
        assert [e.kind for e in store.events("s")].count("revoked") == 1

    def test_tokens_are_revoked_by_whose_and_what_they_are(self, store: Ledger) -> None:
        """All that is given must match, and something must be given."""
        begin(store)
        for kind in ("candidate", "gateway"):
            store.add_grant(token(kind, kind))
        store.add_grant(token("other", "candidate", "another"))
        assert store.revoke_grants(subject="s", kind="gateway") == 1
        assert [g.kind for g in store.grants("s") if g.revoked_at is None] == ["candidate"]
        with pytest.raises(ConfigError):
            store.revoke_grants(who="Grace")

    @pytest.mark.parametrize("text", ["ib_c_secret", "", "z" * 64])
    def test_a_token_itself_is_never_taken(self, store: Ledger, text: str) -> None:
        """What is no hash is refused in one line that does not repeat it."""
        with pytest.raises(ConfigError) as refused:
            store.add_grant(token("x").__class__(text, "candidate", "s", 0.0, 1.0))
        assert not text or text not in str(refused.value)

    def test_a_repeated_hash_is_refused(self, store: Ledger) -> None:
        """Nobody's token is replaced by another's."""
        store.add_grant(token("t"))
        with pytest.raises(ConfigError):
            store.add_grant(token("t", "interviewer", "Grace"))
        found = store.grant(sha("t"))
        assert found is not None
        assert found.kind == "candidate"

    def test_a_ledger_has_one_secret(self, store: Ledger, folder: Path, clock: Clock) -> None:
        """32 bytes that stay, for whoever opens the ledger; no listing, event or query has them."""
        secret = store.host_secret()
        assert len(secret) == 32
        assert store.host_secret() == secret
        again: Any = self.again(folder, clock)
        assert again.host_secret() == secret
        again.close()


class Invitations(HostProcesses):
    """Codes that let one person in, once."""

    def test_a_code_is_taken_once(self, store: Ledger, clock: Clock) -> None:
        """By one client, which may repeat it for ten minutes, in case its answer got lost."""
        begin(store)
        invite(store)
        taken = store.take_invitation(sha("code"), sha("mine"), [token("t", subject="")])
        assert taken is not None
        assert (taken.session_id, taken.used_at, taken.nonce_hash) == ("s", clock.now, sha("mine"))
        assert store.take_invitation(sha("code"), sha("yours"), [token("u")]) is None
        clock.step(599)
        assert store.take_invitation(sha("code"), sha("mine"), [token("t")]) == taken
        clock.step(2)
        assert store.take_invitation(sha("code"), sha("mine")) is None
        assert [g.token_hash for g in store.grants("s")] == [sha("t")]
        assert [e.kind for e in store.events("s") if e.kind in ("invited", "joined")] == ["invited", "joined"]

    def test_what_was_never_given_out_opens_nothing(self, store: Ledger) -> None:
        """A wrong code is no error and no answer."""
        begin(store)
        invite(store)
        assert store.take_invitation(sha("guess"), sha("n")) is None

    def test_a_code_ends(self, store: Ledger, clock: Clock) -> None:
        """By its time, and by who revokes it; a used one cannot be revoked."""
        begin(store)
        invite(store, "late")
        invite(store, "revoked")
        invite(store, "used")
        assert store.take_invitation(sha("used"), sha("n")) is not None
        assert store.revoke_invitation("id of revoked", "Grace")
        assert not store.revoke_invitation("id of revoked", "Grace")
        assert not store.revoke_invitation("id of used", "Grace")
        assert store.take_invitation(sha("revoked"), sha("n")) is None
        clock.step(600)
        assert store.take_invitation(sha("late"), sha("n")) is None

    def test_a_second_invitation_ends_the_first_ones_tokens(self, store: Ledger, clock: Clock) -> None:
        """A person who is let in again has one set of tokens; other sessions and interviewers keep theirs."""
        begin(store)
        store.add_grant(token("interviewer", "interviewer", "s"))
        store.add_grant(token("other", "candidate", "another"))
        for code in ("first", "second"):
            invite(store, code, gateway=True)
            tokens = [token(f"{code} {kind}", kind, "") for kind in ("candidate", "gateway")]
            assert store.take_invitation(sha(code), sha("n"), tokens) is not None
        valid = {g.token_hash for g in store.grants() if g.valid(clock.now)}
        names = ("second candidate", "second gateway", "interviewer", "other")
        assert valid == {sha(name) for name in names}

    def test_tools_need_an_invitation_that_allows_them(self, store: Ledger) -> None:
        """Without it the gateway's token is not stored; other kinds are refused."""
        begin(store)
        invite(store)
        with pytest.raises(ConfigError):
            store.take_invitation(sha("code"), sha("n"), [token("t", "interviewer")])
        assert store.take_invitation(sha("code"), sha("n"), [token("t"), token("g", "gateway")]) is not None
        assert store.grant(sha("g")) is None

    def test_an_invitation_is_for_a_session(self, store: Ledger) -> None:
        """One that is not there, or a code that is taken, is one line; listings are by session."""
        with pytest.raises(UnknownSession):
            invite(store)
        begin(store)
        given = invite(store)
        with pytest.raises(ConfigError):
            store.add_invitation(Invitation("other id", "s", sha("code"), "Grace", 0.0, 1.0))
        assert store.invitations("s") == store.invitations() == [given]

    def test_many_processes_cannot_share_a_code(self, folder: Path) -> None:
        """Eight processes take it at once: one gets in, with one token."""
        if not self.process_factory:
            pytest.skip(self.single_process_reason)
        clock = Clock(time.time())
        store: Any = self.make_store(folder, clock)
        begin(store)
        invite(store, now=clock.now)
        with ExitStack() as stack:
            takers = [stack.enter_context(self.child(folder, "take", "code", f"n{i}")) for i in range(8)]
            for taker in takers:
                go(taker)
            taken = [hear(taker)["taken"] for taker in takers]
        assert sorted(taken) == [False] * 7 + [True]
        assert [g.token_hash for g in store.grants("s")] == [sha(f"n{taken.index(True)}")]
        store.close()
