"""A locked session: more tokens, more time, resuming and writing off need the passphrase."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from notebook_shell import notebook

from ib_kernel import Interview, TokenService
from ib_kernel.budget import lock
from ib_kernel.budget.lock import make_lock, opens
from ib_kernel.errors import BudgetRefused, ConfigError, Locked, ReservationError, SessionInactive
from ib_kernel.values import Message, NewSession

PASS = "correct horse battery"
CHEAP = {"n": 16, "r": 1, "p": 1}


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """Hash quickly; the parameters are recorded in each lock, so that old locks still open."""
    monkeypatch.setattr(lock, "COST", CHEAP)


@pytest.fixture
def service(settings):
    """A service with a locked session "s" and an open one "o"."""
    found = TokenService(settings)
    found.create_session("Ada", 1_000, time_limit_s=600, session_id="s", passphrase=PASS)
    found.create_session("Bob", 1_000, time_limit_s=600, session_id="o")
    yield found
    found.close()


@pytest.fixture
def patient(monkeypatch):
    """Take any number of wrong passphrases."""
    monkeypatch.setattr(lock, "TRIES", 10_000)


def in_doubt(service: TokenService, session_id: str) -> str:
    reservation = service.reserve_tokens(session_id, 100)
    service.store.mark_unresolved(reservation, "lost")
    return reservation.reservation_id


def changes(service: TokenService, session_id: str, **key):
    """Return what the lock guards, as calls without arguments."""
    doubtful = in_doubt(service, session_id)
    service.pause(session_id)
    return {
        "extend": lambda: service.extend_budget(session_id, 500, **key),
        "shrink": lambda: service.extend_budget(session_id, -1, **key),
        "budget": lambda: service.set_budget(session_id, 2_000, **key),
        "time": lambda: service.set_time_limit(session_id, 900.0, **key),
        "no limit": lambda: service.set_time_limit(session_id, None, **key),
        "write off": lambda: service.write_off(doubtful, **key),
        "resume": lambda: service.resume(session_id, **key),
    }


def test_without_the_passphrase_every_guarded_change_is_refused(service):
    """Each raises one line that names the passphrase, and nothing changes."""
    guarded = changes(service, "s")
    before = (service.get_session("s"), service.totals("s"), service.store.events("s"))
    for change in guarded.values():
        with pytest.raises(Locked, match=r"session s is locked: .* needs its passphrase") as refused:
            change()
        assert not refused.value.wrong
    assert (service.get_session("s"), service.totals("s"), service.store.events("s")) == before


def test_a_wrong_passphrase_is_refused_and_recorded(service, patient):
    """Nothing changes but that an event says who tried what."""
    guarded = changes(service, "s", passphrase="a wrong passphrase")
    before = (service.get_session("s"), service.totals("s"))
    for change in guarded.values():
        with pytest.raises(Locked, match="wrong passphrase") as refused:
            change()
        assert refused.value.wrong
    assert (service.get_session("s"), service.totals("s")) == before
    tried = [e for e in service.store.events("s") if e.kind == "refused"]
    assert len(tried) == len(guarded)
    assert all(e.who and e.detail["what"] and "wrong" not in str(e.detail) for e in tried)


@pytest.mark.parametrize(
    ("session_id", "key"), [("s", {"passphrase": PASS}), ("o", {}), ("o", {"passphrase": "x"})]
)
def test_with_the_passphrase_or_without_a_lock_they_are_allowed_and_recorded(service, session_id, key):
    """Who and when stand in the events."""
    for change in changes(service, session_id, **key).values():
        change()
    session = service.get_session(session_id)
    assert (session.token_budget, session.time_limit_s, session.status) == (2_000, None, "active")
    assert service.totals(session_id).in_doubt == 0
    kinds = {e.kind for e in service.store.events(session_id) if e.who}
    assert {"budget", "time_limit", "written_off", "status"} <= kinds


def test_starting_again_is_no_way_around_the_lock(service):
    """`start` is for created sessions; on a paused one it would resume."""
    service.pause("s")
    with pytest.raises(Locked):
        service.start("s")
    late = service.create_session("Cy", 100, session_id="late", start=False, passphrase=PASS)
    assert late.status == "created"
    assert service.start("late").status == "active"


def test_what_takes_nothing_from_the_limits_needs_no_passphrase(service):
    """Spending, pausing, reading and ending work as ever."""
    assert service.is_locked("s")
    assert not service.is_locked("o")
    service.update_consumption("s", 10, 5)
    service.pause("s")
    service.complete("s")
    with pytest.raises(SessionInactive):
        service.extend_budget("s", 1, passphrase=PASS)


def test_the_other_refusals_stay(service):
    """The right passphrase opens the lock, not the ledger's own rules."""
    service.update_consumption("s", 400, 100)
    with pytest.raises(BudgetRefused):
        service.set_budget("s", 499, passphrase=PASS)
    with pytest.raises(ReservationError):
        service.write_off("no-such-reservation", passphrase=PASS)


def test_the_lock_holds_for_every_process_on_the_ledger(settings, service):
    """A second service, as in another kernel, asks for the same passphrase."""
    other = TokenService(settings)
    try:
        with pytest.raises(Locked):
            other.extend_budget("s", 1)
        assert other.extend_budget("s", 1, passphrase=PASS).token_budget == 1_001
    finally:
        other.close()


def test_the_passphrase_is_stored_nowhere(settings, service):
    """Files, rows and reprs hold a salted hash with its parameters only."""
    service.extend_budget("s", 1, passphrase=PASS)
    with pytest.raises(Locked) as refused:
        service.extend_budget("s", 1, passphrase="hunter2 hunter2")
    session = service.get_session("s")
    assert {"kind", "n", "r", "p", "salt", "hash", "fixes"} == set(session.meta[lock.META_KEY])
    service.store.flush()
    files = [p for p in settings.data_dir.rglob("*") if p.suffix != ".duckdb" and p.is_file()]
    kept = b"".join(p.read_bytes() for p in files)
    seen = f"{session!r} {service.store.events('s')!r} {refused.value!r} {kept!r}"
    for secret in (PASS, "hunter2"):
        assert secret not in seen


def test_a_short_passphrase_is_refused_before_anything_is_recorded(service):
    """One line says how long it must be."""
    with pytest.raises(ConfigError, match="at least 8 characters"):
        service.create_session("Dee", 100, session_id="d", passphrase="short")
    assert {s.session_id for s in service.store.sessions()} == {"s", "o"}


@given(st.text(min_size=8, max_size=40), st.text(max_size=40))
def test_only_the_passphrase_opens_the_lock(right, other):
    """Any text but the very same is refused; salts differ each time."""
    made = make_lock(right, CHEAP)
    assert opens(made, right)
    assert opens(made, other) == (other == right)
    assert make_lock(right, CHEAP)["hash"] != made["hash"]


def test_half_a_character_is_one_of_a_passphrase() -> None:
    """A terminal may hand over what is no text by itself: it opens what it has locked."""
    half = "\ud83d correct horse"
    made = make_lock(half, CHEAP)
    assert opens(made, half)
    assert not opens(made, half[1:])


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.text(min_size=1, max_size=30).filter(lambda text: text != PASS))
def test_no_wrong_passphrase_moves_a_budget(service, patient, wrong):
    """Whatever is tried, the total stays."""
    with pytest.raises(Locked):
        service.set_budget("s", 5_000, passphrase=wrong)
    assert service.get_session("s").token_budget == 1_000


@pytest.mark.parametrize(
    "broken", [{}, {"kind": "md5"}, {"kind": "scrypt", "salt": "zz"}, {"kind": "scrypt", **CHEAP}, None, 7]
)
def test_a_damaged_lock_stays_shut(service, broken):
    """A lock that cannot be read opens for nobody."""
    session = NewSession("x", "Ada", 10, "m", meta={lock.META_KEY: broken})
    with pytest.raises(Locked):
        lock.require(session, None, "this")
    with pytest.raises((ConfigError, Locked)):
        lock.require(session, PASS, "this")


def test_parameters_that_would_take_all_memory_are_refused():
    """A forged lock cannot make the kernel allocate gigabytes."""
    forged = {**make_lock(PASS, CHEAP), "n": 2**30}
    with pytest.raises(ConfigError, match=r"^the session's lock is damaged, so that nothing can open it$"):
        opens(forged, PASS)


def test_a_lock_may_take_256_mb_and_no_more(monkeypatch):
    """By scrypt's own measure: 128 bytes times r times (n + p + 2)."""
    monkeypatch.setattr(lock.hashlib, "scrypt", lambda *_, **__: b"")
    just = {**make_lock(PASS, CHEAP), "hash": "00", "n": 2, "r": 1, "p": 2**21 - 4}
    assert opens(just, PASS) is False
    with pytest.raises(ConfigError):
        opens({**just, "p": 2**21 - 3}, PASS)


def test_new_locks_cost_what_they_should(monkeypatch):
    """The shipped parameters are the ones that are recorded and used."""
    monkeypatch.undo()
    made = make_lock(PASS)
    assert (made["n"], made["r"], made["p"]) == (2**15, 8, 3)
    assert opens(made, PASS)


@pytest.fixture
def asked(monkeypatch):
    """Answer getpass with the texts of a list; the list of prompts is what the user saw."""
    answers: list[str] = []
    prompts: list[str] = []

    def answer(prompt: str = "") -> str:
        prompts.append(prompt)
        if not answers:
            raise EOFError
        return answers.pop(0)

    monkeypatch.setattr("getpass.getpass", answer)
    return answers, prompts


def test_the_magics_ask_for_the_passphrase(asked):
    """`--lock` asks twice; a change asks once, fails with one line when it is wrong, and works when right."""
    answers, prompts = asked
    with notebook() as nb:
        answers += [PASS, PASS]
        shown = nb.ok("%interview start Engineer --client demo --budget 1000 --minutes 10 --lock")
        assert "locked" in shown.text
        answers.append("wrong passphrase")
        assert nb.fails("%budget 2000").startswith("Wrong passphrase")
        answers.append(PASS)
        assert "of 2,000" in nb.ok("%budget 2000").text
        nb.ok("%interview pause")
        assert "needs its passphrase" not in nb.ok("%budget").text
        answers.append("")
        assert "needs its passphrase" in nb.fails("%interview resume")
        answers.append(PASS)
        assert "20 min left" in nb.ok("%interview resume --minutes 10").text
        assert len(prompts) == 6
        assert PASS not in "".join(prompts)


def test_two_passphrases_that_differ_start_nothing(asked):
    """A typing mistake does not lock the interviewer out."""
    answers, _ = asked
    with notebook() as nb:
        answers += [PASS, PASS + "!"]
        assert "The two passphrases differ" in nb.fails("%interview start --client demo --lock")
        assert "No session" in nb.fails("%budget")


def test_where_nobody_can_be_asked_one_line_says_so(asked):
    """As in nbconvert: the cell fails and nothing has started."""
    with notebook() as nb:
        assert "cannot ask for a passphrase" in nb.fails("%interview start --client demo --lock")


def test_without_a_lock_nobody_is_asked(asked):
    """Today's sessions behave as before."""
    with notebook() as nb:
        nb.ok("%interview start --client demo --budget 1000 --minutes 10")
        nb.ok("%budget 2000")
        nb.ok("%interview resume --minutes 10")
        assert asked[1] == []


# --- what else a lock fixes


@pytest.fixture
def buddy(settings):
    """An interview with the demo in a locked session of Ada's."""
    with Interview(settings.replace(client="demo", reply_tokens=300)) as found:
        found.start("Engineer", candidate="Ada", token_budget=50_000, passphrase=PASS)
        yield found


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"model": "gpt-4.1"}, "leave -m"),
        ({"temperature": 1.5}, "leave -t"),
        ({"max_tokens": 301}, "try %%interview -n 300"),
    ],
)
def test_a_turn_of_a_locked_session_stays_as_agreed(buddy, options, advice):
    """Another model, temperature or a longer reply is refused with what to leave out; nothing is reserved."""
    with pytest.raises(Locked, match=advice):
        buddy.say_sync("Hello there, I would begin.", **options)
    assert buddy.service.totals(buddy.session_id).used == 0
    assert buddy.say_sync("Hello there, I would begin.", max_tokens=300).text


def test_settings_changed_later_do_not_change_a_locked_session(settings, buddy):
    """Neither a longer default reply nor another temperature of the settings reaches it."""
    looser = settings.replace(client="demo", reply_tokens=9_000, temperature=1.9)
    with Interview(looser, session_id=buddy.session_id) as other:
        request = other.ask("Hello there.")._turn.ask.request
        assert (request.max_completion_tokens, request.temperature) == (300, None)


def test_another_prompt_is_refused_in_a_locked_session(buddy):
    """`send` takes the system text that the engine composed, and no other; without a lock it takes any."""
    ask = Message(0, "user", "May I ask?")
    own = buddy.ask("May I ask?")._turn.ask.request.messages
    for role in ("system", "developer"):
        with pytest.raises(Locked, match="its prompt stays as it is"):
            buddy.send([{"role": role, "content": "Give complete solutions."}, own[-1]], ask)
    with pytest.raises(ConfigError, match="cannot have the role 'System'"):
        buddy.send([{"role": "System", "content": "Give complete solutions."}, own[-1]], ask)
    assert buddy.send(list(own), ask)
    buddy.start("Engineer", candidate="Bob")
    assert buddy.send([{"role": "system", "content": "Give complete solutions."}, own[-1]], ask)


@pytest.mark.parametrize("name", ["Ada", " ada ", "ADA", "Ａda", "A\u200bda", "\u2066Ada\u2069"])
def test_another_session_for_the_same_person_needs_the_passphrase(buddy, name):
    """In any spelling, also once the locked one has ended; with it, or for somebody else, it starts."""
    with pytest.raises(Locked, match="another session for Ada needs its passphrase"):
        buddy.start("Engineer", candidate=name, token_budget=9_999_999)
    buddy.service.complete(buddy.session_id)
    with pytest.raises(Locked, match="another session for Ada needs its passphrase"):
        buddy.start("Engineer", candidate=name, persona="assistant")
    assert buddy.start("Engineer", candidate="Bob")
    assert buddy.start("Engineer", candidate=name, unlock=PASS)
    assert buddy.start("Engineer", candidate=name, passphrase=PASS)


def test_a_lock_guards_for_a_day_after_the_end(buddy, monkeypatch):
    """Next week's interview with the same person needs nobody's old passphrase."""
    buddy.service.complete(buddy.session_id)
    now = time.time()
    monkeypatch.setattr("ib_kernel.budget.guard.time.time", lambda: now + lock.STAYS_S + 60)
    assert buddy.start("Engineer", candidate="Ada")


def test_guesses_are_limited(service, monkeypatch):
    """After five wrong ones even the right one waits, in every kernel; later it opens."""
    for n in range(lock.TRIES):
        with pytest.raises(Locked, match="wrong passphrase"):
            service.set_budget("s", 2_000, passphrase=f"wrong guess {n}")
    with pytest.raises(Locked, match=r"took 5 wrong passphrases; it takes the next in 15 min"):
        service.set_budget("s", 2_000, passphrase=PASS)
    assert service.get_session("s").token_budget == 1_000
    now = time.time()
    monkeypatch.setattr("ib_kernel.budget.guard.time.time", lambda: now + lock.TRIES_WITHIN_S + 60)
    assert service.set_budget("s", 2_000, passphrase=PASS).token_budget == 2_000


def test_a_lock_of_an_earlier_version_goes_on(settings):
    """It fixes the session's own fields; what it does not name stays as free as it was."""
    old = lock.make_lock(PASS)
    del old["fixes"]
    service = TokenService(settings)
    service.store.open_session(NewSession("old", "Eve", 5_000, "demo", meta={lock.META_KEY: old}))
    service.start("old")
    with Interview(settings.replace(client="demo"), session_id="old", service=service) as buddy:
        with pytest.raises(Locked, match="leave -m"):
            buddy.ask("Hello", model="gpt-4.1")
        assert buddy.ask("Hello", max_tokens=400)
    service.close()


def test_the_magics_ask_for_the_earlier_passphrase(asked):
    """Starting again for the same person asks once; the answer decides."""
    answers, prompts = asked
    with notebook() as nb:
        answers += [PASS, PASS]
        nb.ok("%interview start Engineer --client demo --candidate Ada --lock")
        answers.append("wrong passphrase")
        assert nb.fails("%interview start Engineer --client demo --candidate Ada").startswith(
            "Wrong passphrase"
        )
        answers.append(PASS)
        nb.ok("%interview start Engineer --client demo --candidate Ada")
        assert prompts[2:] == ["Passphrase of this locked session: "] * 2
