-- Time, the hash chain, and what every write shares. Canonical bytes are those of ib_kernel/values/chain.py: UTF-8 JSON
-- without spaces, times in whole microseconds, no text as null, personal texts as a salted commitment.

-- Seconds since 1970 by the server's clock, unless the caller brings its own (tests do).
CREATE FUNCTION ib.moment(p_asked jsonb) RETURNS double precision LANGUAGE sql STABLE
RETURN coalesce(
    (p_asked ->> 'now')::double precision, extract(epoch FROM statement_timestamp())::double precision
);

-- A session's active seconds by now. What one tick adds is limited: a ledger nobody looked at was no work.
CREATE FUNCTION ib.active_now(
    p_active double precision, p_tick double precision, p_now double precision, p_most double precision
) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN p_active + coalesce(least(greatest(0.0, p_now - p_tick), p_most), 0.0);

-- When a session's clock was last looked at. One that was set back goes on from there: no second counts twice.
CREATE FUNCTION ib.ticked(p_tick double precision, p_now double precision, p_most double precision)
RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN CASE WHEN p_tick IS NULL THEN NULL WHEN p_now < p_tick - p_most THEN p_now ELSE greatest(p_tick, p_now) END;

-- What may be billed beside the budget; NULL for no such limit.
CREATE FUNCTION ib.most_billed(p_session ib.sessions) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN coalesce(
    (p_session).billed_ceiling, CASE WHEN (p_session).charge = 'new' THEN 10 * (p_session).token_budget END
);

-- A text as canonical JSON. PostgreSQL's text has no NUL: it is kept as the two characters "␀0", a real "␀" as "␀1".
CREATE FUNCTION ib.canonical(p_text text) RETURNS text LANGUAGE sql STABLE
RETURN CASE
    WHEN p_text IS NULL OR p_text = '' THEN 'null'
    ELSE replace(replace(to_json(p_text)::text, '␀0', '\u0000'), '␀1', '␀')
END;

-- A text's bytes as it was given.
CREATE FUNCTION ib.given(p_text text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF strpos(p_text, '␀') = 0 THEN
        RETURN convert_to(p_text, 'UTF8');
    END IF;
    RETURN (SELECT string_agg(convert_to(replace(part, '␀1', '␀'), 'UTF8'), '\x00'::bytea ORDER BY n)
        FROM regexp_split_to_table(p_text, '␀0') WITH ORDINALITY AS parts(part, n));
END $$;

-- The key of a session: the first 63 bits of the SHA-256 of its id.
CREATE FUNCTION ib.session_key(p_id text) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (('x' || encode(substr(sha256(ib.given(p_id)), 1, 8), 'hex'))::bit(64)::bigint >> 1) & 9223372036854775807;

CREATE FUNCTION ib.canonical(p_number bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce(p_number::text, 'null');

CREATE FUNCTION ib.canonical(p_flag boolean) RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce(p_flag::text, 'null');

-- A time or duration as whole microseconds, halves upwards; p_scale is how many make one unit.
CREATE FUNCTION ib.canonical(p_time double precision, p_scale double precision) RETURNS text LANGUAGE sql IMMUTABLE
RETURN coalesce(floor(p_time * p_scale + 0.5)::bigint::text, 'null');

-- What stands for a personal JSON text in canonical bytes; nobody can guess the text from it without the salt.
CREATE FUNCTION ib.commitment(p_salt bytea, p_json text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    given bytea := convert_to(replace(replace(p_json, '␀0', '\u0000'), '␀1', '␀'), 'UTF8');
BEGIN
    RETURN sha256(p_salt || convert_to(length(given)::text || ':', 'UTF8') || given);
END $$;

-- The link of a row (its canonical JSON) after the link before it; the first follows from the session's id.
CREATE FUNCTION ib.link(p_head bytea, p_session_id text, p_row text) RETURNS bytea LANGUAGE sql STABLE
RETURN sha256(
    coalesce(p_head, sha256(convert_to('["ib chain 1",' || ib.canonical(p_session_id) || ']', 'UTF8')))
    || convert_to(p_row, 'UTF8')
);

-- 122 random bits: the salt of a text that the ledger itself writes.
CREATE FUNCTION ib.new_salt() RETURNS bytea LANGUAGE sql VOLATILE
RETURN uuid_send(gen_random_uuid());

-- Say that something about a session has changed, in the transaction that changes it.
CREATE FUNCTION ib.say_changed(p_key bigint, p_now double precision, VARIADIC p_kinds text[]) RETURNS void
LANGUAGE sql AS $$
INSERT INTO ib.changes (session_key, kinds, changed_at) VALUES (p_key, p_kinds, p_now)
$$;

-- Append an event and advance the session's chain by it.
CREATE FUNCTION ib.append_event(
    p_key bigint, p_kind text, p_created double precision, p_who text, p_detail text, p_salt bytea DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    salted bytea := coalesce(p_salt, ib.new_salt());
    row_text text := '["events",' || ib.canonical(p_kind) || ',' || ib.canonical(p_created, 1e6) || ','
        || ib.canonical(p_who) || ',"' || encode(ib.commitment(salted, p_detail), 'hex') || '"]';
    n bigint;
    head bytea;
BEGIN
    UPDATE ib.sessions AS s SET
        events = s.events + 1,
        chain_n = s.chain_n + 1,
        chain_head = ib.link(s.chain_head, s.session_id, row_text)
    WHERE s.session_key = p_key
    RETURNING s.chain_n, s.chain_head INTO n, head;
    INSERT INTO ib.events (session_key, kind, created_at, who, detail, salt, link_n, link)
    VALUES (p_key, p_kind, p_created, p_who, p_detail, salted, n, head);
END $$;

-- Append messages after a link of the chain; p_turn 0 leaves each its own. Whoever calls it keeps the head.
CREATE FUNCTION ib.append_messages(
    p_key bigint, p_session_id text, p_texts jsonb, p_turn integer, p_now double precision,
    INOUT n bigint, INOUT head bytea
) LANGUAGE plpgsql AS $$
DECLARE
    one record;
    created double precision;
    numbered integer;
BEGIN
    FOR one IN
        SELECT * FROM jsonb_to_recordset(p_texts) AS m(
            turn integer, role text, content text, created_at double precision, partial boolean,
            asked_at double precision, salt bytea, committed text
        )
    LOOP
        created := coalesce(one.created_at, p_now);
        numbered := CASE WHEN p_turn > 0 THEN p_turn ELSE one.turn END;
        n := n + 1;
        head := ib.link(head, p_session_id,
            '["messages",' || numbered || ',' || ib.canonical(one.role) || ',' || ib.canonical(one.partial) || ','
            || ib.canonical(created, 1e6) || ',' || ib.canonical(one.asked_at, 1e6) || ',"' || one.committed || '"]');
        INSERT INTO ib.messages
            (session_key, turn, role, content, created_at, partial, asked_at, salt, link_n, link)
        VALUES (p_key, numbered, one.role, one.content, created, one.partial, one.asked_at,
            one.salt, n, head);
    END LOOP;
END $$;

-- Return True if a write whose answer was lost has been done: its event carries the salt that the caller chose.
CREATE FUNCTION ib.done_before(p_asked jsonb) RETURNS boolean LANGUAGE sql STABLE
RETURN p_asked ? 'again' AND EXISTS (
    SELECT 1 FROM ib.events
    WHERE session_key = (p_asked ->> 'session_key')::bigint AND salt = (p_asked ->> 'salt')::bytea
);
