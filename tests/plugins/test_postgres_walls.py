"""The second wall: what somebody with a login of the database can read and do, tried as they would try it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import Databases, PostgresServer

from ib_kernel.errors import BuddyError, QueryError
from ib_kernel.host.tokens import hashed
from ib_kernel.values import (
    CallEnd,
    CallStart,
    Cell,
    Check,
    KeptChallenge,
    LedgerEvent,
    Message,
    NewSession,
    Score,
    Status,
)
from ib_kernel.values.host import Grant, GrantKind

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
import psycopg

from ib_postgres.keys import session_key
from ib_postgres.store import PostgresStore

TOKENS = {
    "ada": "ib_c_" + "a" * 43,
    "ben": "ib_c_" + "b" * 43,
    "expired": "ib_c_" + "c" * 43,
    "revoked": "ib_c_" + "d" * 43,
    "tools": "ib_g_" + "e" * 43,
    "grace": "ib_i_" + "f" * 43,
    "coordinator": "ib_i_" + "0" * 43,
    "removed": "ib_i_" + "1" * 43,
    "link": "ib_l_" + "2" * 43,
}
LOGINS = {
    "ada_login": "ib_candidate",
    "ben_login": "ib_candidate",
    "grace_login": "ib_interviewer",
    "host_login": "ib_host",
}

VIEWS = "SELECT table_name FROM information_schema.views WHERE table_schema = 'ib_usage' ORDER BY 1"

NOT_A_CANDIDATES = {
    *("scores", "latest_scores", "apart_scores", "agreement", "calibration", "order_effect"),
    *("code_origin", "count_accuracy_by_construct"),
}
"""Views that are empty for Ada: people's conclusions, what did not happen, and our own bookkeeping."""

SECRET = "what only Ben has said"


class Wall:
    """A ledger with the sessions of Ada and Ben, and logins to it."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.server, self.database = server, database
        self.url = server.url(database)
        self.views: list[str] = []

    @contextmanager
    def login(self, user: str, token: str = "", **how: Any) -> Iterator[psycopg.Connection[Any]]:
        """Connect as one of `LOGINS`, with a token given as people give it."""
        options = f"-c search_path=ib_usage,pg_catalog -c ib.token={TOKENS.get(token, token)}"
        url = self.server.url(self.database, user)
        with psycopg.connect(url, autocommit=True, options=options, **how) as db:
            yield db


@pytest.fixture(scope="module")
def wall(
    postgres: PostgresServer, ledgers: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wall]:
    """A ledger in which both candidates have done all there is."""
    folder = tmp_path_factory.mktemp("walls")
    made = Wall(postgres, ledgers.take(folder))
    with psycopg.connect(made.url, autocommit=True) as db:
        for login, role in LOGINS.items():
            db.execute(f"CREATE ROLE {login} LOGIN IN ROLE {role}")
        made.views = [name for (name,) in db.execute(VIEWS).fetchall()]
    store = PostgresStore(made.url, background=False)
    for name in ("ada", "ben"):
        _fill(store, name)
    now = time.time()
    who: tuple[tuple[str, GrantKind, str], ...] = (
        ("ada", "candidate", "ada"), ("ben", "candidate", "ben"), ("expired", "candidate", "ben"),
        ("revoked", "candidate", "ben"), ("tools", "gateway", "ben"), ("link", "link", "Grace"),
        ("grace", "interviewer", "Grace"), ("coordinator", "interviewer", "Coco"),
        ("removed", "interviewer", "Ray"),
    )  # fmt: skip
    store.add_person("Grace", "interviewer")
    store.add_person("Coco", "coordinator")
    store.add_person("Ray", "interviewer")
    for name, kind, subject in who:
        until = now - 1 if name == "expired" else now + 3600
        store.add_grant(Grant(hashed(TOKENS[name]), kind, subject, now - 9, until))
    store.revoke_grants(token_hash=hashed(TOKENS["revoked"]), who="t")
    with psycopg.connect(made.url, autocommit=True) as db:
        db.execute("UPDATE ib.people SET removed_at = 1 WHERE name = 'Ray'")
    store.close()
    yield made
    ledgers.give_back(folder)
    postgres.execute(*(f"DROP OWNED BY {login}" for login in LOGINS), database=made.database)
    postgres.execute(*(f"DROP ROLE {login}" for login in LOGINS))


def _fill(store: PostgresStore, name: str) -> None:
    said = SECRET if name == "ben" else "hello there, how are things"
    store.open_session(
        NewSession(name, name.title(), 9_000, "m", challenge=(
            "queue"
        ), challenge_sha=name * 20, time_limit_s=3600.0,
                   accommodation="time=1.25", meta={"private_id": "p" * 32}, external_id="X-1")
    )  # fmt: skip
    store.set_status(name, Status.ACTIVE)
    for turn in range(1, 6):
        held = store.reserve(name, 900, lease_s=60, call=CallStart(turn, 1, "openai", "m", 300, True))
        assert held
        said_now = [
            Message(turn, "user", f"{said} {turn}"),
            Message(turn, "assistant", f"reply {turn}: {said}"),
        ]
        error = "Cut" if turn == 5 else None
        store.settle(held, CallEnd(300, 100, raw_usage="{}", error=error, latency_ms=9.0), messages=said_now)
    doubtful = store.reserve(name, 900, lease_s=60, call=CallStart(None))
    store.mark_unresolved(doubtful, "TimedOut")
    store.add_cell(Cell(name, f"# {said}"))
    store.add_check(Check(name, "hidden", 1, 2, tests=[{"name": "run_secret"}], challenge_sha=name * 20))
    store.keep_challenge(KeptChallenge(name * 20, f"task of {name}", "1", "Do it."))
    store.add_event(LedgerEvent(name, "note", 0.0, "Grace", {"text": "a private note"}))
    store.add_event(LedgerEvent(name, "hint", 0.0, "", {"rung": 1, "of": 2, "inside": "a private note"}))
    store.add_event(LedgerEvent(name, "withheld", 0.0, "", {"turn": 2}))
    store.add_event(LedgerEvent(name, "counted", 0.0, detail={"turn": 1, "model": "m", "constructs": ["x"]}))
    store.add_event(LedgerEvent(name, "refused", 0.0, detail={"reason": "budget", "needed": 9, "left": 1}))
    store.set_time_limit(name, 4500.0, who="Coco")
    store.add_score(Score(name, "first", "Ray", "person", level=3, reason="Ray's words"))
    store.add_score(Score(name, "first", "model", "model", level=1, reason="the model's words"))
    if name == "ada":
        store.add_score(Score(name, "first", "Grace", "person", level=2, reason="Grace's words"))


def everything(db: psycopg.Connection[Any], views: list[str]) -> str:
    """Return all that can be read of all views, as one text."""
    found = []
    for view in views:
        found.append(repr(db.execute(f"SELECT * FROM {view}").fetchall()))
    return "\n".join(found)


def test_a_candidate_reads_their_own_rows_in_every_view(wall: Wall) -> None:
    """Each view has something of Ada's and nothing of Ben's, notes, private parts or hidden tests."""
    with wall.login("ada_login", "ada") as db:
        for view in wall.views:
            rows = db.execute(f"SELECT * FROM {view}").fetchall()
            assert bool(rows) != (view in NOT_A_CANDIDATES), view
            names = [column.name for column in db.execute(f"SELECT * FROM {view}").description or ()]
            if "session_id" in names:
                assert {row[names.index("session_id")] for row in rows} <= {"ada"}, view
        text = everything(db, wall.views)
        for hidden in (
            "ben",
            "Ben",
            SECRET,
            "private",
            "run_secret",
            "Ray",
            "model's words",
            "Grace",
            "X-1",
            "1.25",
        ):
            assert hidden not in text, hidden
        assert "hello there" in text
        limits = db.execute("SELECT time_limit_s, meta, external_id FROM sessions").fetchall()
        assert limits == [(4500.0, None, None)]
        replies = db.execute("SELECT turn, content IS NULL FROM messages WHERE role = 'assistant' ORDER BY 1")
        assert replies.fetchall() == [(1, False), (2, True), (3, False), (4, False), (5, False)]
        assert db.execute(
            "SELECT detail ->> 'rung', detail ->> 'inside' FROM events WHERE kind = 'hint'"
        ).fetchone() == ("1", None)


@pytest.mark.parametrize(
    "token", ["", "ib_c_guess", "expired", "revoked", "tools", "link", "grace", "coordinator", "pass.00.00"]
)
def test_without_a_token_of_their_own_nobody_reads_anything(wall: Wall, token: str) -> None:
    """None, a guess, an expired or revoked one, a tool's, and an interviewer's from a candidate's login."""
    with wall.login("ada_login", token) as db:
        for view in wall.views:
            assert db.execute(f"SELECT * FROM {view}").fetchall() == [], view


@pytest.mark.parametrize("token", ["", "ada", "removed", "link"])
def test_an_interviewer_s_login_needs_an_interviewer_s_token(wall: Wall, token: str) -> None:
    """A candidate's token there, and one of a person who was let go, read nothing."""
    with wall.login("grace_login", token) as db:
        assert "hello" not in everything(db, wall.views)
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


def test_a_token_that_expires_reads_nothing_from_then_on(wall: Wall) -> None:
    """The server's clock decides, in the middle of a connection; the asker's own clock is of no use."""
    token = "ib_c_" + "9" * 43
    store = PostgresStore(wall.url, background=False)
    now = time.time()
    store.add_grant(Grant(hashed(token), "candidate", "ada", now, now + 3600))
    with wall.login("ada_login", token) as db:
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
        with psycopg.connect(wall.url, autocommit=True) as owner:
            owner.execute("UPDATE ib.grants SET expires_at = %s WHERE token_hash = %s", [now, hashed(token)])
        db.execute("SET ib.now = '1'")
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    store.close()


_FILE = Path(__file__).with_name("wall_attacks.sql").read_text(encoding="utf-8")
_KEYED = _FILE.replace("{own}", str(session_key("ada"))).replace("{other}", str(session_key("ben")))
ATTACKS = dict(re.findall(r"^-- ([^\n]+)\n([^-\n].*?);$", _KEYED, re.M | re.S))
"""By name, the statements of the file beside this one."""


REFUSED = {None, "42501", "0A000", "55000", "42P17", "42809", "42883"}
"""What a refusal is: no right to it, or nothing that can be done to a view (PostgreSQL's appendix A)."""


@pytest.mark.parametrize(("login", "token"), [("ada_login", "ada"), ("grace_login", "grace")])
def test_what_is_not_theirs_to_do_is_refused(wall: Wall, login: str, token: str) -> None:
    """By a candidate and by an interviewer, each with a good token; nothing has changed afterwards."""
    before, done = state(wall), []
    with wall.login(login, token) as db:
        for name, attack in ATTACKS.items():
            try:
                found = db.execute(attack.replace("ada_login", login))
                rows = found.fetchall() if found.description else [("done",)]
            except psycopg.Error as error:
                rows = [] if error.sqlstate in REFUSED else [(name, error)]
            if rows:
                done.append((name, rows))
            db.execute("RESET ROLE; RESET SESSION AUTHORIZATION")
    own = [("role interviewer", [("done",)])] if login == "grace_login" else []
    assert done == own
    assert len(ATTACKS) > 60
    assert state(wall) == before


def state(wall: Wall) -> Any:
    """Return what an attack would have changed."""
    with psycopg.connect(wall.url, autocommit=True) as db:
        asked = (
            "SELECT session_id, token_budget, status, chain_n FROM ib.sessions ORDER BY 1",
            "SELECT count(*), sum(tokens) FROM ib.reservations",
            "SELECT count(*) FROM ib.events", "SELECT count(*) FROM ib.calls", (
                "SELECT count(*) FROM ib.messages"
            ),
            "SELECT count(*), max(expires_at) FROM ib.grants", "SELECT count(*) FROM ib.people",
            (
                "SELECT tablename, policyname, roles::text, qual FROM pg_policies WHERE schemaname = 'ib' "
                "ORDER BY 1, 2"
            ),
            (
                "SELECT relname, relrowsecurity, relowner FROM pg_class"
                " WHERE relnamespace = 'ib'::regnamespace ORDER BY 1"
            ),
            "SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members ORDER BY 1, 2",
            (
                "SELECT proname, prosecdef, proowner FROM pg_proc WHERE pronamespace = 'ib'::regnamespace "
                "ORDER BY 1, 2, 3"
            ),
        )  # fmt: skip
        return [db.execute(sql).fetchall() for sql in asked]


def test_no_other_row_is_looked_at_on_the_way(wall: Wall) -> None:
    """A cheap function or an error in a condition would tell what rows it was given: Ada's alone."""
    with wall.login("ada_login", "ada") as db:
        seen: list[str] = []
        db.add_notice_handler(lambda notice: seen.append(notice.message_primary or ""))
        db.execute(
            "CREATE FUNCTION pg_temp.leak(what text) RETURNS boolean LANGUAGE plpgsql COST 0.0000000001 AS "
            "$$ BEGIN RAISE NOTICE '%', what; RETURN true; END $$"
        )
        for view, column in (
            ("messages", "content"),
            ("cells", "source"),
            ("timeline", "what"),
            ("sessions", "candidate"),
        ):
            db.execute(f"SELECT * FROM {view} WHERE pg_temp.leak({column})")
        db.execute(
            "SELECT * FROM messages AS m JOIN sessions AS s USING (session_id) WHERE pg_temp.leak("
            "m.content || s.candidate)"
        )
        assert seen
        assert not [text for text in seen if SECRET in text or "Ben" in text]
        bits = (
            f"SELECT 1 FROM messages WHERE content LIKE '{SECRET}%' AND 1 / (length(content) - "
            "length(content)) = 1"
        )
        assert db.execute(bits).fetchall() == []


def test_the_server_s_own_views_tell_nothing_of_others(wall: Wall) -> None:
    """Statistics have no values of rows, and what another login asks, its token too, is hidden."""
    with psycopg.connect(wall.url, autocommit=True) as owner:
        owner.execute("ANALYZE")
    with (
        wall.login("ben_login", "ben", application_name="bens") as other,
        wall.login("ada_login", "ada") as db,
    ):
        other.execute(f"SET ib.token = '{TOKENS['ben']}'")
        for view in ("pg_stats", "pg_stats_ext", "pg_stat_activity", "pg_prepared_statements", "pg_cursors"):
            text = repr(db.execute(f"SELECT * FROM {view}").fetchall())
            assert TOKENS["ben"] not in text, view
            assert SECRET not in text, view
        with wall.login("grace_login", "grace") as interviewer:
            assert TOKENS["ben"] not in repr(interviewer.execute("SELECT * FROM pg_stat_activity").fetchall())


def test_temporary_objects_shadow_nothing(wall: Wall) -> None:
    """Tables, functions and operators of one's own, first on the path, are not what the wall looks up."""
    with wall.login("ada_login", "ada") as db:
        for statement in (
            (
                "CREATE TEMP TABLE grants AS SELECT 'x' AS token_hash, 'candidate' AS kind, 'ben' AS subject,"
                " 9e9 AS expires_at"
            ),
            "CREATE TEMP TABLE sessions AS SELECT 'ben' AS session_id, 1 AS session_key",
            "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea'",
            (
                "CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT "
                "''x'''"
            ),
            "CREATE FUNCTION pg_temp.always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.always)",
            "SET search_path = pg_temp, ib_usage, pg_catalog",
        ):
            db.execute(statement)
        found = db.execute("SELECT DISTINCT session_id FROM ib_usage.messages").fetchall()
        assert found == [("ada",)]


def test_a_copy_is_a_query(wall: Wall) -> None:
    """COPY of a view has one's own rows, as SELECT has."""
    with wall.login("ada_login", "ada") as db, db.cursor() as cursor:
        with cursor.copy("COPY (SELECT * FROM messages) TO STDOUT") as out:
            text = b"".join(out).decode()
        assert "hello there" in text
        assert SECRET not in text


def test_what_owns_the_wall_is_nobody_s(wall: Wall) -> None:
    """Views belong to a role that is bound by row-level security, and no login is a member of it."""
    with psycopg.connect(wall.url, autocommit=True) as db:
        owners = (
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = "
            "'ib_usage'::regnamespace"
        )
        assert db.execute(owners).fetchall() == [("ib_reader",)]
        can = (
            "SELECT rolsuper OR rolbypassrls OR rolcanlogin FROM pg_roles WHERE rolname IN ('ib_reader', "
            "'ib_asker')"
        )
        assert db.execute(can).fetchall() == [(False,), (False,)]
        owns = (
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'ib'::regnamespace AND relowner = "
            "'ib_reader'::regrole"
        )
        assert db.execute(owns).fetchone() == (0,)
        for login in LOGINS:
            for role in ("ib_reader", "ib_asker"):
                assert db.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", [login, role]).fetchone() == (
                    False,
                )
        bare = (
            "SELECT relname FROM pg_class WHERE relnamespace = 'ib'::regnamespace AND relkind = 'r' AND NOT "
            "relrowsecurity"
        )
        assert db.execute(bare).fetchall() == []
        definers = (
            "SELECT proname, proconfig FROM pg_proc WHERE pronamespace IN ('ib'::regnamespace, "
            "'ib_usage'::regnamespace) AND prosecdef"
        )
        for name, config in db.execute(definers).fetchall():
            assert [
                text for text in config or () if text.startswith("search_path=") and text.endswith("pg_temp")
            ], name


def test_nobody_but_a_host_may_call_what_writes(wall: Wall) -> None:
    """Of the ledger's functions, people may call those that say who they are."""
    with psycopg.connect(wall.url, autocommit=True) as db:
        callable_by = (
            "SELECT proname FROM pg_proc WHERE pronamespace = 'ib'::regnamespace AND "
            "has_function_privilege(%s, oid, 'EXECUTE')"
        )
        for login in ("ada_login", "grace_login"):
            names = {name for (name,) in db.execute(callable_by, [login]).fetchall()}
            assert names == {
                "own_session", "reads_all", "is_candidate", "knows_accommodations", "reads_all_scores",
                "closed_sessions", "unfolded_sessions", "hidden_talks", "has_rated", "has_rated_judged",
                "own_challenge", "candidates_kinds", "candidates_detail",
            }  # fmt: skip
        assert db.execute("SELECT has_schema_privilege('ada_login', 'ib', 'USAGE')").fetchone() == (False,)


def test_an_interviewer_reads_every_session_and_what_is_hers_of_scores(wall: Wall) -> None:
    """Notes and hidden tests too; others' scores of a criterion only once she has scored it herself."""
    with wall.login("grace_login", "grace") as db:
        assert {("ada",), ("ben",)} <= {*db.execute("SELECT session_id FROM sessions").fetchall()}
        assert "a private note" in everything(db, ["events"])
        assert "run_secret" in everything(db, ["checks"])
        scores = "SELECT session_id, rater, level FROM scores ORDER BY 1, 2"
        assert db.execute(scores).fetchall() == [("ada", "Grace", 2), ("ada", "Ray", 3), ("ada", "model", 1)]


def test_what_was_adapted_for_a_person_shows_to_coordinators_only(wall: Wall) -> None:
    """A limit of 75 minutes that stands for 60 is 60 in an interviewer's SQL, events included."""
    limits = "SELECT time_limit_s FROM sessions WHERE session_id = 'ada'"
    told = (
        "SELECT detail ->> 'from', detail ->> 'to' FROM events WHERE kind = 'time_limit' AND session_id "
        "= 'ada'"
    )
    with wall.login("grace_login", "grace") as db:
        assert db.execute(limits).fetchone() == (3600.0,)
        assert [float(value) for value in db.execute(told).fetchone() or ()] == [2880.0, 3600.0]
    with wall.login("grace_login", "coordinator") as db:
        assert db.execute(limits).fetchone() == (4500.0,)
        assert [float(value) for value in db.execute(told).fetchone() or ()] == [3600.0, 4500.0]


def test_a_pass_is_good_in_its_own_connection_and_for_its_time(wall: Wall) -> None:
    """Whoever sees a pass can use it nowhere else, later, or for more than it says."""
    with psycopg.connect(wall.url, autocommit=True) as owner:
        (made,) = owner.execute("SELECT ib.statement_pass(NULL, 60)").fetchone() or ("",)
        owner.execute(f"SET ib.token = '{made}'")
        assert owner.execute("SELECT count(*) >= 2 FROM ib_usage.sessions").fetchone() == (True,)
        head, body, signature = made.split(".")
        for forged in (f"{head}.{body}.{'0' * 64}", f"{head}.{body[:-2]}00.{signature}", f"{head}.{body}"):
            owner.execute(f"SET ib.token = '{forged}'")
            assert owner.execute("SELECT count(*) FROM ib_usage.sessions").fetchone() == (0,)
        (spent,) = owner.execute("SELECT ib.statement_pass(NULL, -61)").fetchone() or ("",)
        owner.execute(f"SET ib.token = '{spent}'")
        assert owner.execute("SELECT count(*) FROM ib_usage.sessions").fetchone() == (0,)
        with wall.login("ada_login", made) as db:
            assert db.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


ESCAPES = (
    "SELECT set_config('role', 'postgres', true)",
    "SELECT set_config('session_authorization', 'postgres', true)",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT query_to_xml('SELECT * FROM ib.secrets', true, true, '')",
    "SELECT set_config('ib.token', '', true), query_to_xml('DELETE FROM ib.calls', true, true, '')",
    "SELECT accommodation FROM ib.sessions",
    "SELECT ib.statement_pass(NULL, 60)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_create(0)",
    "SELECT nextval('ib.calls_seq_seq')",
    "SELECT * FROM pg_authid",
    "EXPLAIN ANALYZE DELETE FROM ib.calls",
    "SELECT pg_reload_conf()",
)


@pytest.mark.parametrize("query", ESCAPES)
def test_a_query_that_a_host_is_asked_has_nobody_s_rights_but_a_reader_s(wall: Wall, query: str) -> None:
    """The host's own login may do anything; what interviewers ask through it may not."""
    store = PostgresStore(wall.url, background=False)
    before = state(wall)
    with pytest.raises(QueryError) as refused:
        store.sql(query)
    assert "\n" not in str(refused.value)
    assert state(wall) == before
    store.close()


def test_a_query_cannot_take_off_the_reader_it_is_asked_for(wall: Wall) -> None:
    """Clearing the pass in the query hides everything; it never shows more."""
    store = PostgresStore(wall.url, background=False)
    cleared = (
        "WITH cleared AS MATERIALIZED (SELECT set_config('ib.token', '', true)) "
        "SELECT count(*) FROM cleared, sessions"
    )
    assert store.sql(cleared).rows[0][0] in (0, *store.sql("SELECT count(*) FROM sessions").rows[0])
    assert store.sql("SELECT current_user, session_user").rows[0][0] == "ib_asker"
    store.close()


def test_a_host_s_login_that_owns_nothing_runs_the_ledger(wall: Wall) -> None:
    """A member of ib_host does all that a host does, and cannot take the wall down."""
    store = PostgresStore(wall.server.url(wall.database, "host_login"), background=False)
    store.open_session(NewSession("cy", "Cy", 9_000, "m"))
    store.set_status("cy", Status.ACTIVE)
    held = store.reserve("cy", 900, lease_s=60, call=CallStart(None, model="m"))
    assert held
    assert store.settle(held, CallEnd(300, 100), messages=[Message(0, "user", "hello")])
    assert store.sql("SELECT session_id, total_tokens FROM session_usage WHERE session_id = 'cy'").rows == [
        ("cy", 400)
    ]
    assert store.check() == []
    assert store.verify() == []
    assert {piece.table for piece in store.usage_rows()} >= {"calls", "sessions"}
    store.close()
    with wall.login("host_login") as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("DROP POLICY reader ON ib.messages")


def test_a_candidate_s_login_opens_no_ledger(wall: Wall) -> None:
    """The store itself, over a login that may only look, is refused with one line."""
    with pytest.raises(BuddyError) as refused:
        PostgresStore(wall.server.url(wall.database, "ada_login"), background=False)
    assert "\n" not in str(refused.value)
