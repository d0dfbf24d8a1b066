-- What a candidate did, in one order and as figures. Each figure is what its comment says and no more: none of
-- them measures understanding, and a notebook whose recording is off has no cells.

-- Everything that happened in a session in one order, with the tokens charged so far (`used`) and left of the
-- budget after each. Questions stand at the moment they were asked, replies, calls, cells and checks at their
-- end. A call in doubt counts with what it holds now. Bookkeeping events ("counted") are left out.
CREATE OR REPLACE VIEW timeline AS
WITH hint_texts AS (
    SELECT
        session_key, session_id, content,
        row_number() OVER (PARTITION BY session_key, session_id ORDER BY seq) AS rung
    FROM messages
    WHERE role = 'hint'
), moments AS (
    SELECT
        session_key, session_id,
        CASE WHEN role = 'assistant' THEN created_at ELSE coalesce(asked_at, created_at) END AS moment,
        CASE role WHEN 'user' THEN 1 WHEN 'assistant' THEN 5 ELSE 3 END AS step,
        CASE role WHEN 'user' THEN 'question' WHEN 'assistant' THEN 'reply' ELSE role END AS kind,
        nullif(turn, 0) AS turn, NULL::BIGINT AS number, NOT partial AS ok, content AS what, NULL::JSON AS detail,
        0::BIGINT AS charged, NULL::BIGINT AS budget, seq
    FROM messages
    WHERE role <> 'hint'
    UNION ALL
    SELECT
        c.session_key, c.session_id,
        least(coalesce(c.ended_at, c.started_at), r.created_at),  -- a call is settled just after its reply
        4, 'call', nullif(c.turn, 0), c.attempt,
        c.status = 'settled' AND c.error IS NULL, coalesce(c.error, c.finish_reason, c.status),
        json_object('model', c.model, 'input_tokens', c.input_tokens, 'output_tokens', c.output_tokens),
        CASE c.status WHEN 'in_doubt' THEN c.held_tokens WHEN 'settled' THEN c.charged_tokens ELSE 0 END,
        c.token_budget, c.seq
    FROM calls AS c
    LEFT JOIN (
        SELECT session_key, session_id, turn, max(created_at) AS created_at
        FROM messages
        WHERE role = 'assistant' AND turn > 0
        GROUP BY ALL
    ) AS r
    ON r.session_key = c.session_key AND r.session_id = c.session_id AND r.turn = c.turn
    UNION ALL
    SELECT
        session_key, session_id, ended_at, 2, 'cell', NULL, n, ok, source,
        json_object('kind', kind, 'error', nullif(error, ''), 'output_chars', output_chars), 0, NULL, seq
    FROM cells
    UNION ALL
    SELECT
        session_key, session_id, ended_at, 2, 'check', NULL, n, passed = total, suite,
        json_object('passed', passed, 'total', total, 'ran_on', ran_on), 0, NULL, seq
    FROM checks
    UNION ALL
    SELECT
        e.session_key, e.session_id, e.created_at, 3, e.kind, (e.detail ->> 'turn')::BIGINT,
        (e.detail ->> 'rung')::BIGINT, e.kind <> 'refused', CASE WHEN e.kind = 'hint' THEN h.content END, e.detail, 0,
        CASE WHEN e.kind = 'budget' AND e.detail ->> 'unit' = 'token_budget' THEN TRY_CAST(e.detail ->> 'to' AS BIGINT) END,
        e.seq
    FROM events AS e
    LEFT JOIN hint_texts AS h
    ON e.kind = 'hint' AND h.session_key = e.session_key AND h.session_id = e.session_id
        AND h.rung = (e.detail ->> 'rung')::BIGINT
    WHERE e.kind NOT IN ('counted', 'origin')
)
SELECT
    m.session_id,
    row_number() OVER one AS n,
    m.moment, m.kind, m.turn, m.number, m.ok, m.what, m.detail, m.charged AS charged_tokens,
    TRY_CAST(sum(m.charged) OVER one AS BIGINT) AS used,
    TRY_CAST(greatest(0, coalesce(last_value(m.budget IGNORE NULLS) OVER one, s.token_budget_at_start, s.token_budget)
        - sum(m.charged) OVER one) AS BIGINT) AS left_tokens
FROM moments AS m
JOIN sessions AS s USING (session_key, session_id)
WINDOW one AS (
    PARTITION BY m.session_key, m.session_id ORDER BY m.moment, m.step, m.seq, m.kind ROWS UNBOUNDED PRECEDING
);

-- Seconds between the end of the reply before and the next question; for the first question, since the start.
-- Wall-clock time: it has reading, coding, running and pauses in it, and is no measure of thinking speed.
CREATE OR REPLACE VIEW think_time AS
SELECT
    q.session_id, q.turn, q.asked_at, r.created_at AS replied_at,
    round(epoch(q.asked_at - coalesce(r.created_at, s.started_at)) * 10) / 10 AS think_s
FROM (
    SELECT session_key, session_id, turn, coalesce(asked_at, created_at) AS asked_at
    FROM messages
    WHERE role = 'user' AND turn > 0
) AS q
ASOF LEFT JOIN (
    SELECT session_key, session_id, created_at FROM messages WHERE role = 'assistant' AND turn > 0
) AS r
ON q.session_key = r.session_key AND q.session_id = r.session_id AND q.asked_at >= r.created_at
JOIN sessions AS s ON s.session_key = q.session_key AND s.session_id = q.session_id;

-- What questions are made of: words of prose (what stands in fences apart), whether there is code in them, and
-- what was attached. Code is a fence that is no attachment, or a line that begins as Python statements do.
CREATE OR REPLACE VIEW prompt_facts AS
WITH told AS (
    SELECT
        session_key, session_id, turn, content,
        regexp_replace(content, '(?s)\[The candidate.s material, attached: [^\n]*\]\n(`{3,}).*?\n`{3,}', ' ', 'g') AS own
    FROM messages
    WHERE role = 'user' AND turn > 0
)
SELECT
    t.session_id, t.turn,
    len(regexp_extract_all(regexp_replace(t.own, '(?s)`{3,}.*?(`{3,}|$)', ' ', 'g'), '[\p{L}\p{N}_]+')) AS words,
    length(t.content) AS characters,
    regexp_matches(t.own, '(?m)`{3,}|^\s*(def|class|import|from|for|while|return|SELECT) \w') AS has_code,
    a.attached IS NOT NULL AS has_attachment,
    a.attached
FROM told AS t
LEFT JOIN (
    SELECT
        session_key, session_id, (detail ->> 'turn')::BIGINT AS turn,
        string_agg(array_to_string(from_json(json_extract_string(detail, '$.items[*].label')::JSON, '["VARCHAR"]'), ', '), ', ') AS attached
    FROM events
    WHERE kind = 'attached'
    GROUP BY ALL
) AS a ON a.session_key = t.session_key AND a.session_id = t.session_id AND a.turn = t.turn;

-- Questions that ask much the same as an earlier one of their session: at least 0.6 of all terms of both are in
-- both (Jaccard). Terms are words of three letters or more outside fences, frequent ones apart; a question
-- needs three. The same words may ask another thing, and other words the same.
CREATE OR REPLACE VIEW re_asks AS
WITH asked AS (
    SELECT
        session_key, session_id, turn,
        list_filter(
            list_distinct(regexp_extract_all(
                lower(regexp_replace(content, '(?s)`{3,}.*?(`{3,}|$)', ' ', 'g')), '[\p{L}\p{N}_]{3,}'
            )),
            lambda word: NOT list_contains(
                ['the', 'and', 'for', 'that', 'this', 'with', 'what', 'how', 'does', 'can', 'could', 'would',
                 'you', 'are', 'not', 'but', 'was', 'has', 'have', 'should', 'please'], word)
        ) AS terms
    FROM messages
    WHERE role = 'user' AND turn > 0
), pairs AS (
    SELECT
        b.session_id, b.turn, a.turn AS earlier_turn,
        len(list_intersect(a.terms, b.terms)) / len(list_distinct(list_concat(a.terms, b.terms))) AS similarity
    FROM asked AS b
    JOIN asked AS a ON a.session_key = b.session_key AND a.session_id = b.session_id AND a.turn < b.turn
    WHERE len(a.terms) >= 3 AND len(b.terms) >= 3
)
SELECT session_id, turn, earlier_turn, round(similarity * 100) / 100 AS similarity
FROM (
    SELECT *, row_number() OVER (PARTITION BY session_id, turn ORDER BY similarity DESC, earlier_turn) AS place
    FROM pairs
    WHERE similarity >= 0.6
)
WHERE place = 1;

-- Replies after which the candidate ran a cell (our own magics apart) or a check before asking on. What was run
-- need not have had to do with the reply; what was tried elsewhere is not seen.
CREATE OR REPLACE VIEW verification AS
WITH replies AS (
    SELECT r.session_key, r.session_id, r.turn, r.created_at AS replied_at, q.asked_at AS next_at
    FROM (
        SELECT session_key, session_id, turn, created_at FROM messages WHERE role = 'assistant' AND turn > 0
    ) AS r
    ASOF LEFT JOIN (
        SELECT session_key, session_id, coalesce(asked_at, created_at) AS asked_at
        FROM messages
        WHERE role = 'user' AND turn > 0
    ) AS q
    ON r.session_key = q.session_key AND r.session_id = q.session_id AND r.created_at < q.asked_at
), runs AS (
    SELECT session_key, session_id, started_at FROM cells WHERE kind <> 'magic'
    UNION ALL
    SELECT session_key, session_id, started_at FROM checks
), counted AS (
    SELECT p.session_id, p.turn, count(u.started_at) AS runs
    FROM replies AS p
    LEFT JOIN runs AS u
    ON u.session_key = p.session_key AND u.session_id = p.session_id AND u.started_at >= p.replied_at
        AND (p.next_at IS NULL OR u.started_at < p.next_at)
    GROUP BY ALL
)
SELECT
    session_id, count(*) AS replies, count(*) FILTER (runs > 0) AS verified,
    round((count(*) FILTER (runs > 0) / count(*)) * 100) / 100 AS verified_share
FROM counted
GROUP BY session_id;

-- Rungs of the hint ladder that were taken, and after how many questions.
CREATE OR REPLACE VIEW hints AS
SELECT
    e.session_id, (e.detail ->> 'rung')::BIGINT AS rung, (e.detail ->> 'of')::BIGINT AS rungs, e.created_at AS given_at,
    (
        SELECT count(*) FROM messages AS m
        WHERE m.session_key = e.session_key AND m.session_id = e.session_id AND m.role = 'user' AND m.turn > 0
            AND coalesce(m.asked_at, m.created_at) <= e.created_at
    ) AS questions_before
FROM events AS e
WHERE e.kind = 'hint';

-- Turns that were not sent, and why: no tokens, no time, a session that is not active. Not a fault of anybody's.
CREATE OR REPLACE VIEW refusals AS
SELECT
    session_id, created_at AS refused_at, coalesce(detail ->> 'reason', detail ->> 'what') AS reason,
    TRY_CAST(detail ->> 'needed' AS BIGINT) AS needed_tokens, TRY_CAST(detail ->> 'left' AS BIGINT) AS left_tokens
FROM events
WHERE kind = 'refused';

-- How much of the final code stands in earlier replies: the share of its runs of five tokens that a reply has as
-- they are (`verbatim`), and when names, numbers and texts are replaced (`renamed`); the lines all of whose runs
-- are shared, and the turns they are shared with. Task and starter code are left out. One row a session, as of the
-- last query of %%usage or a host that named this view. Short idioms are everybody's, and code that was understood
-- and typed anew looks like code that was pasted: it says nothing about whose idea it was.
CREATE OR REPLACE VIEW code_origin AS
SELECT
    session_id, created_at AS computed_at,
    (detail ->> 'cells')::BIGINT AS cells,
    (detail ->> 'runs')::BIGINT AS runs,
    (detail ->> 'verbatim')::DOUBLE AS verbatim,
    (detail ->> 'renamed')::DOUBLE AS renamed,
    from_json(detail -> 'lines', '["BIGINT"]') AS lines,
    from_json(detail -> 'renamed_lines', '["BIGINT"]') AS renamed_lines,
    from_json(detail -> 'turns', '["BIGINT"]') AS turns
FROM (
    SELECT *, row_number() OVER (PARTITION BY session_key, session_id ORDER BY seq DESC) AS newest
    FROM events
    WHERE kind = 'origin'
)
WHERE newest = 1;

-- What was charged before the first cell, until a check passed in full, and afterwards. Without cells or checks
-- everything is in an early phase.
CREATE OR REPLACE VIEW tokens_by_phase AS
SELECT
    c.session_id,
    CASE
        WHEN b.first_cell IS NULL OR c.started_at < b.first_cell THEN 'before the first cell'
        WHEN b.first_pass IS NULL OR c.started_at < b.first_pass THEN 'until checks pass'
        ELSE 'after checks passed'
    END AS phase,
    count(DISTINCT c.turn) AS turns,
    TRY_CAST(sum(c.charged_tokens) AS BIGINT) AS charged_tokens,
    min(c.started_at) AS began_at
FROM calls AS c
LEFT JOIN (
    SELECT
        session_key, session_id, min(started_at) FILTER (what = 'cell') AS first_cell,
        min(ended_at) FILTER (what = 'pass') AS first_pass
    FROM (
        SELECT session_key, session_id, started_at, ended_at, 'cell' AS what FROM cells WHERE kind <> 'magic'
        UNION ALL
        SELECT session_key, session_id, started_at, ended_at, 'pass' FROM checks WHERE passed = total AND total > 0
    )
    GROUP BY session_key, session_id
) AS b ON b.session_key = c.session_key AND b.session_id = c.session_id
WHERE c.status = 'settled' AND c.total_tokens > 0 AND c.turn > 0
GROUP BY c.session_id, phase;
