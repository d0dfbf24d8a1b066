-- What a candidate did, in one order and as figures, as plugins/ib_duckdb/evidence_views.sql gives it. None of these
-- measures understanding, and a notebook whose recording is off has no cells.

-- Everything that happened in a session in one order, with the tokens charged so far (`used`) and left of the
-- budget after each. Questions stand at the moment they were asked, replies, calls, cells and checks at their
-- end. A call in doubt counts with what it holds now. Bookkeeping events ("counted", "origin") are left out.
CREATE VIEW ib_usage.timeline AS
WITH hint_texts AS (
    SELECT session_key, content, row_number() OVER (PARTITION BY session_key ORDER BY seq) AS rung
    FROM ib_usage.messages
    WHERE role = 'hint'
), moments AS (
    SELECT
        session_key,
        CASE WHEN role = 'assistant' THEN created_at ELSE coalesce(asked_at, created_at) END AS moment,
        CASE role WHEN 'user' THEN 1 WHEN 'assistant' THEN 5 ELSE 3 END AS step,
        CASE role WHEN 'user' THEN 'question' WHEN 'assistant' THEN 'reply' ELSE role END AS kind,
        nullif(turn, 0)::bigint AS turn, NULL::bigint AS number, NOT partial AS ok, content AS what,
        NULL::json AS detail, 0::bigint AS charged, NULL::bigint AS budget, seq
    FROM ib_usage.messages
    WHERE role <> 'hint'
    UNION ALL
    SELECT
        c.session_key,
        least(coalesce(c.ended_at, c.started_at), r.created_at),  -- a call is settled just after its reply
        4, 'call', nullif(c.turn, 0), c.attempt,
        c.status = 'settled' AND c.error IS NULL, coalesce(c.error, c.finish_reason, c.status),
        json_build_object('model', c.model, 'input_tokens', c.input_tokens, 'output_tokens', c.output_tokens),
        CASE c.status WHEN 'in_doubt' THEN c.held_tokens WHEN 'settled' THEN c.charged_tokens ELSE 0 END,
        c.token_budget, c.seq
    FROM ib_usage.calls AS c
    LEFT JOIN (
        SELECT session_key, turn, max(created_at) AS created_at
        FROM ib_usage.messages
        WHERE role = 'assistant' AND turn > 0
        GROUP BY session_key, turn
    ) AS r
    ON r.session_key = c.session_key AND r.turn = c.turn
    UNION ALL
    SELECT
        session_key, ended_at, 2, 'cell', NULL, n, ok, source,
        json_build_object('kind', kind, 'error', nullif(error, ''), 'output_chars', output_chars), 0, NULL, seq
    FROM ib_usage.cells
    UNION ALL
    SELECT
        session_key, ended_at, 2, 'check', NULL, n, passed = total, suite,
        json_build_object('passed', passed, 'total', total, 'ran_on', ran_on), 0, NULL, seq
    FROM ib_usage.checks
    UNION ALL
    SELECT
        e.session_key, e.created_at, 3, e.kind, ib_usage.whole(e.detail ->> 'turn'),
        ib_usage.whole(e.detail ->> 'rung'), e.kind <> 'refused',
        CASE WHEN e.kind = 'hint' THEN h.content END, e.detail, 0,
        CASE WHEN e.kind = 'budget' AND e.detail ->> 'unit' = 'token_budget'
            THEN ib_usage.whole(e.detail ->> 'to') END,
        e.seq
    FROM ib_usage.events AS e
    LEFT JOIN hint_texts AS h
    ON e.kind = 'hint' AND h.session_key = e.session_key AND h.rung = ib_usage.whole(e.detail ->> 'rung')
    WHERE e.kind NOT IN ('counted', 'origin')
), counted AS (
    SELECT
        m.*, row_number() OVER one AS n, sum(charged) OVER one AS used, count(budget) OVER one AS budgets
    FROM moments AS m
    WINDOW one AS (PARTITION BY session_key ORDER BY moment, step, seq, kind ROWS UNBOUNDED PRECEDING)
)
SELECT
    s.session_id, m.n, m.moment, m.kind, m.turn, m.number, m.ok, m.what, m.detail, m.charged AS charged_tokens,
    m.used::bigint AS used,
    greatest(0, coalesce(  -- the newest budget by then: the only one since its own row
        max(m.budget) OVER (PARTITION BY m.session_key, m.budgets), s.token_budget_at_start, s.token_budget
    ) - m.used)::bigint AS left_tokens
FROM counted AS m
JOIN ib_usage.sessions AS s USING (session_key);

-- Seconds between the end of the reply before and the next question; for the first question, since the start.
-- Wall-clock time: it has reading, coding, running and pauses in it, and is no measure of thinking speed.
CREATE VIEW ib_usage.think_time AS
SELECT
    session_id, turn, moment AS asked_at, replied_at,
    ib_usage.rounded(ib_usage.epoch(moment - coalesce(replied_at, started_at)), 1) AS think_s
FROM (
    SELECT
        m.*,
        max(moment) FILTER (WHERE role = 'assistant')
            OVER (PARTITION BY session_key ORDER BY moment, role ROWS UNBOUNDED PRECEDING) AS replied_at
    FROM (
        SELECT
            session_id, session_key, turn, role,
            CASE role WHEN 'user' THEN coalesce(asked_at, created_at) ELSE created_at END AS moment
        FROM ib_usage.messages
        WHERE role IN ('user', 'assistant') AND turn > 0
    ) AS m  -- in one moment, "assistant" stands before "user"
) AS q
JOIN (SELECT session_key, started_at FROM ib_usage.sessions) AS s USING (session_key)
WHERE role = 'user';

-- A question without its fences of three or more backticks; without a session's attachments when they are to go.
CREATE FUNCTION ib_usage.prose(content text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(content, '`{3,}?(?!`).*?(?:`{3,}?(?!`)|$)', ' ', 'g');
CREATE FUNCTION ib_usage.without_attachments(content text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(
    content, '\[The candidate.s material, attached: [^\n]*?\]\n`{3,}?(?!`).*?\n`{3,}?(?!`)', ' ', 'g'
);

-- What questions are made of: words of prose (what stands in fences apart), whether there is code in them, and
-- what was attached. Code is a fence that is no attachment, or a line that begins as Python statements do.
CREATE VIEW ib_usage.prompt_facts AS
WITH told AS (
    SELECT session_id, session_key, turn, content, ib_usage.without_attachments(content) AS own
    FROM ib_usage.messages
    WHERE role = 'user' AND turn > 0
)
SELECT
    t.session_id, t.turn,
    regexp_count(ib_usage.prose(t.own), '[{letters}]+')::bigint AS words,
    length(t.content)::bigint AS characters,
    t.own ~ '(?w)`{3,}|^[\t\n\f\r ]*(def|class|import|from|for|while|return|SELECT) [A-Za-z0-9_]' AS has_code,
    a.attached IS NOT NULL AS has_attachment,
    a.attached
FROM told AS t
LEFT JOIN (
    SELECT session_key, ib_usage.whole(detail ->> 'turn') AS turn, string_agg(labels, ', ' ORDER BY seq) AS attached
    FROM (
        SELECT session_key, seq, detail, coalesce((
            SELECT string_agg(item.value ->> 'label', ', ' ORDER BY item.n)
            FROM json_array_elements(CASE WHEN json_typeof(detail -> 'items') = 'array'
                THEN detail -> 'items' ELSE '[]' END) WITH ORDINALITY AS item (value, n)
        ), '') AS labels
        FROM ib_usage.events
        WHERE kind = 'attached'
    ) AS e
    GROUP BY 1, 2
) AS a ON a.session_key = t.session_key AND a.turn = t.turn;

-- Questions that ask much the same as an earlier one of their session: at least 0.6 of all terms of both are in
-- both (Jaccard). Terms are words of three letters or more outside fences, frequent ones apart; a question
-- needs three. The same words may ask another thing, and other words the same.
CREATE VIEW ib_usage.re_asks AS
WITH asked AS (
    SELECT session_id, session_key, turn, seq, ARRAY(
        SELECT DISTINCT word.found[1]
        FROM regexp_matches(
            lower(ib_usage.prose(content) COLLATE {collation}), '[{letters}]{3,}', 'g'
        ) AS word (found)
        WHERE word.found[1] <> ALL (ARRAY[
            'the', 'and', 'for', 'that', 'this', 'with', 'what', 'how', 'does', 'can', 'could', 'would',
            'you', 'are', 'not', 'but', 'was', 'has', 'have', 'should', 'please'])
    ) AS terms
    FROM ib_usage.messages
    WHERE role = 'user' AND turn > 0
), pairs AS (
    SELECT
        b.session_id, b.turn, a.turn AS earlier_turn,
        shared.n / (cardinality(a.terms) + cardinality(b.terms) - shared.n)::double precision AS similarity
    FROM asked AS b
    JOIN asked AS a ON a.session_key = b.session_key AND a.turn < b.turn
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM unnest(a.terms) AS term WHERE term = ANY (b.terms)) AS shared
    WHERE cardinality(a.terms) >= 3 AND cardinality(b.terms) >= 3
), close AS (
    SELECT
        session_id, turn, earlier_turn, similarity,
        row_number() OVER (PARTITION BY session_id, turn ORDER BY similarity DESC, earlier_turn) AS place
    FROM pairs
    WHERE similarity >= 0.6
)
SELECT session_id, turn, earlier_turn, ib_usage.rounded(similarity, 2) AS similarity
FROM close
WHERE place = 1;

-- Replies after which the candidate ran a cell (our own magics apart) or a check before asking on. What was run
-- need not have had to do with the reply; what was tried elsewhere is not seen.
CREATE VIEW ib_usage.verification AS
WITH replies AS (
    SELECT session_id, session_key, turn, moment AS replied_at, next_at
    FROM (
        SELECT
            m.*,
            min(moment) FILTER (WHERE role = 'user') OVER (
                PARTITION BY session_key ORDER BY moment, role DESC
                ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            ) AS next_at
        FROM (
            SELECT
                session_id, session_key, turn, role,
                CASE role WHEN 'user' THEN coalesce(asked_at, created_at) ELSE created_at END AS moment
            FROM ib_usage.messages
            WHERE role IN ('user', 'assistant') AND turn > 0
        ) AS m  -- in one moment, "user" stands before "assistant": a question after a reply is a later one
    ) AS said
    WHERE role = 'assistant'
), runs AS (
    SELECT session_key, started_at FROM ib_usage.cells WHERE kind <> 'magic'
    UNION ALL
    SELECT session_key, started_at FROM ib_usage.checks
), counted AS (
    SELECT p.session_id, p.turn, count(u.started_at) AS runs
    FROM replies AS p
    LEFT JOIN runs AS u
    ON u.session_key = p.session_key AND u.started_at >= p.replied_at
        AND (p.next_at IS NULL OR u.started_at < p.next_at)
    GROUP BY 1, 2
)
SELECT
    session_id, count(*) AS replies, count(*) FILTER (WHERE runs > 0) AS verified,
    ib_usage.rounded(count(*) FILTER (WHERE runs > 0) / count(*)::double precision, 2) AS verified_share
FROM counted
GROUP BY session_id;

-- Rungs of the hint ladder that were taken, and after how many questions.
CREATE VIEW ib_usage.hints AS
SELECT
    e.session_id, ib_usage.whole(e.detail ->> 'rung') AS rung, ib_usage.whole(e.detail ->> 'of') AS rungs,
    e.created_at AS given_at,
    (
        SELECT count(*) FROM ib_usage.messages AS m
        WHERE m.session_key = e.session_key AND m.role = 'user' AND m.turn > 0
            AND coalesce(m.asked_at, m.created_at) <= e.created_at
    ) AS questions_before
FROM ib_usage.events AS e
WHERE e.kind = 'hint';

-- Turns that were not sent, and why: no tokens, no time, a session that is not active. Not a fault of anybody's.
CREATE VIEW ib_usage.refusals AS
SELECT
    session_id, created_at AS refused_at, coalesce(detail ->> 'reason', detail ->> 'what') AS reason,
    ib_usage.whole(detail ->> 'needed') AS needed_tokens, ib_usage.whole(detail ->> 'left') AS left_tokens
FROM ib_usage.events
WHERE kind = 'refused';

-- How much of what was written last stands in earlier replies (see docs/sql.md), as it was computed last.
CREATE VIEW ib_usage.code_origin AS
SELECT
    session_id, created_at AS computed_at,
    ib_usage.whole(detail ->> 'cells') AS cells,
    ib_usage.whole(detail ->> 'runs') AS runs,
    (detail ->> 'verbatim')::double precision AS verbatim,
    (detail ->> 'renamed')::double precision AS renamed,
    ib_usage.numbers(detail -> 'lines') AS lines,
    ib_usage.numbers(detail -> 'renamed_lines') AS renamed_lines,
    ib_usage.numbers(detail -> 'turns') AS turns
FROM (
    SELECT *, row_number() OVER (PARTITION BY session_key ORDER BY seq DESC) AS newest
    FROM ib_usage.events
    WHERE kind = 'origin'
) AS computed
WHERE newest = 1;

-- What was charged before the first cell, until a check passed in full, and afterwards. Without cells or checks
-- everything is in an early phase.
CREATE VIEW ib_usage.tokens_by_phase AS
SELECT
    c.session_id,
    CASE
        WHEN b.first_cell IS NULL OR c.started_at < b.first_cell THEN 'before the first cell'
        WHEN b.first_pass IS NULL OR c.started_at < b.first_pass THEN 'until checks pass'
        ELSE 'after checks passed'
    END AS phase,
    count(DISTINCT c.turn) AS turns,
    sum(c.charged_tokens)::bigint AS charged_tokens,
    min(c.started_at) AS began_at
FROM ib_usage.calls AS c
LEFT JOIN (
    SELECT
        session_key, min(started_at) FILTER (WHERE what = 'cell') AS first_cell,
        min(ended_at) FILTER (WHERE what = 'pass') AS first_pass
    FROM (
        SELECT session_key, started_at, ended_at, 'cell' AS what FROM ib_usage.cells WHERE kind <> 'magic'
        UNION ALL
        SELECT session_key, started_at, ended_at, 'pass' FROM ib_usage.checks WHERE passed = total AND total > 0
    ) AS ran
    GROUP BY session_key
) AS b ON b.session_key = c.session_key
WHERE c.status = 'settled' AND c.total_tokens > 0 AND c.turn > 0
GROUP BY 1, 2;
