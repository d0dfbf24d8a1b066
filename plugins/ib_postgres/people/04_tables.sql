-- The documented tables (docs/sql.md), made of the ledger's own. All times are UTC. Money is exact: numeric in US
-- dollars, NULL where no price is known. What a candidate or an interviewer may not read is NULL here, and rows
-- that they may not see do not reach these views (row-level security).

-- A moment of the ledger (seconds since 1970), to the microsecond.
CREATE FUNCTION ib_usage.moment(seconds double precision) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN timestamp '1970-01-01' + floor(seconds * 1000000 + 0.5) * interval '1 microsecond';

-- US dollars of an amount in nano-dollars.
CREATE FUNCTION ib_usage.dollars(nano bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nano * 0.000000001;

-- The seconds of a moment since 1970, and of a duration, as DuckDB's function of that name.
CREATE FUNCTION ib_usage.epoch(moment timestamp) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN extract(epoch FROM moment)::double precision;
CREATE FUNCTION ib_usage.epoch(duration interval) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN extract(epoch FROM duration)::double precision;

-- A figure rounded, halves away from zero.
CREATE FUNCTION ib_usage.rounded(figure double precision, digits integer DEFAULT 0) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sign(figure) * floor(abs(figure) * power(10::double precision, digits) + 0.5)
    / power(10::double precision, digits);

-- A whole number that JSON has as text; NULL for what is none.
CREATE FUNCTION ib_usage.whole(value text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value ~ '^-?[0-9]{1,18}$' THEN value::bigint END;

-- The numbers of a JSON list; NULL for what is none.
CREATE FUNCTION ib_usage.numbers(list json) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN json_typeof(list) = 'array' THEN ARRAY(
    SELECT ib_usage.whole(item) FROM json_array_elements_text(list) WITH ORDINALITY AS t (item, n) ORDER BY n
) END;

-- A number as text, as DuckDB writes it.
CREATE FUNCTION ib_usage.written(figure double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN figure::text || CASE WHEN figure::text ~ '^-?[0-9]+$' THEN '.0' ELSE '' END;

-- A figure that JSON has as text; NULL for what is none.
CREATE FUNCTION ib_usage.figure(value text) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value ~ '^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?$' THEN value::double precision END;

-- The median, which PostgreSQL has under a longer name.
CREATE FUNCTION ib_usage.middle(figures double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY figure) FROM unnest(figures) AS figure);
CREATE AGGREGATE ib_usage.median(double precision) (
    SFUNC = array_append, STYPE = double precision[], FINALFUNC = ib_usage.middle, INITCOND = '{}'
);

-- This moment in seconds since 1970. Only what runs now and what is in doubt is told by it.
CREATE FUNCTION ib_usage.now_s() RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
    nullif(current_setting('ib.now', true), '')::double precision,
    extract(epoch FROM statement_timestamp())::double precision
);

-- How many times the usual time a person has, as "time=1.25" says; 1 where nothing was adapted.
CREATE FUNCTION ib_usage.time_factor(accommodation text) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(substring(accommodation FROM '^time=([1-4](?:\.[0-9]+)?)$')::double precision, 1);

-- A time relative to the usual limit, for somebody who may not know what was adapted; no factor leaves it as it is.
CREATE FUNCTION ib_usage.shared(seconds double precision, factor double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN factor IS NULL THEN seconds ELSE ib_usage.rounded(seconds / factor, 6) END;

-- A session as it is now. An active one's time is counted to this moment.
CREATE VIEW ib_usage.sessions AS
SELECT
    session_id, candidate, role, level, challenge, persona, client, model, prompt_version,
    CASE WHEN NOT (SELECT ib.is_candidate()) THEN meta::json END AS meta,
    CASE WHEN over THEN 'expired' ELSE status END AS status,
    token_budget,
    ib_usage.dollars(budget_nano_usd) AS budget_usd,
    ib_usage.shared(time_limit_s, factor) AS time_limit_s,
    charge,
    coalesce(billed_ceiling, CASE charge WHEN 'new' THEN 10 * token_budget END) AS billed_ceiling,
    token_budget_at_start,
    ib_usage.shared(time_limit_at_start_s, factor) AS time_limit_at_start_s,
    CASE WHEN NOT (SELECT ib.is_candidate()) THEN nullif(external_id, '') END AS external_id,
    nullif(challenge_sha, '') AS challenge_sha,
    nullif(notice_version, '') AS notice_version,
    ib_usage.moment(keep_until) AS keep_until,
    ib_usage.moment(created_at) AS created_at,
    ib_usage.moment(started_at) AS started_at,
    ib_usage.moment(CASE WHEN over THEN greatest(created_at, now_s) ELSE ended_at END) AS ended_at,
    ib_usage.shared(CASE WHEN over THEN greatest(active_s, time_limit_s) ELSE active_now END, factor) AS active_s,
    ib_usage.moment(CASE WHEN runs THEN now_s ELSE changed_at END) AS changed_at,
    chain_n, chain_head, session_key
FROM (
    SELECT *, runs AND coalesce(active_now >= time_limit_s, false) AS over
    FROM (
        SELECT
            s.*, n.now_s, s.status = 'active' AND s.tick_at IS NOT NULL AS runs,
            CASE WHEN s.status = 'active' AND s.tick_at IS NOT NULL
                THEN s.active_s + least(greatest(0.0, n.now_s - s.tick_at), n.most)
                ELSE s.active_s END AS active_now,
            CASE WHEN NOT (SELECT ib.knows_accommodations())
                THEN ib_usage.time_factor(s.accommodation) END AS factor
        FROM ib.sessions AS s
        CROSS JOIN (
            SELECT
                ib_usage.now_s() AS now_s,
                coalesce(nullif(current_setting('ib.most', true), '')::double precision, 120) AS most
        ) AS n
    ) AS looked_at
) AS judged;

-- Every attempt; those that nobody knows the outcome of have no figures, never zero.
CREATE VIEW ib_usage.calls AS
SELECT
    s.session_id, c.turn, c.attempt, c.client, c.model,
    nullif(c.model_returned, '') AS model_returned,
    c.counted_tokens, c.counted_exact, c.input_tokens, c.cached_tokens, c.output_tokens, c.reasoning_tokens,
    c.input_tokens + c.output_tokens AS total_tokens,
    coalesce(c.charged_tokens, c.input_tokens + c.output_tokens) AS charged_tokens,
    c.used,
    c.source,
    ib_usage.dollars(c.cost_nano_usd) AS cost_usd,
    c.price_source, c.latency_ms, c.first_piece_ms,
    nullif(c.finish_reason, '') AS finish_reason,
    c.status, c.error, c.held_tokens, c.overdraft, c.token_budget,
    nullif(c.prompt_version, '') AS prompt_version,
    nullif(c.response_id, '') AS response_id,
    c.raw_usage, c.history_from_turn,
    nullif(c.sent_hmac, '') AS sent_hmac,
    ib_usage.moment(c.started_at) AS started_at,
    ib_usage.moment(c.ended_at) AS ended_at,
    c.link_n, c.link, c.session_key, c.seq
FROM ib.calls AS c
JOIN ib.sessions AS s ON s.session_key = c.session_key
UNION ALL
SELECT
    s.session_id, r.turn, r.attempt, r.client, r.model,
    NULL, r.counted_tokens, r.counted_exact, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL,
    'in_doubt', NULL, r.tokens, 0, s.token_budget,
    nullif(r.prompt_version, ''), NULL, NULL, r.history_from_turn, nullif(r.sent_hmac, ''),
    ib_usage.moment(r.created_at), NULL,
    NULL, NULL, r.session_key, NULL
FROM ib.reservations AS r
JOIN ib.sessions AS s ON s.session_key = r.session_key
WHERE r.state <> 'held' OR r.lease_until <= ib_usage.now_s();

-- What is hidden is NULL before anything else is done with it. A candidate does not see a reply that was held back
-- from them; somebody who rates does not see what a judge has said about what they have not unfolded.
CREATE VIEW ib_usage.messages AS
SELECT
    session_id, turn, role,
    CASE WHEN NOT hidden THEN content END AS content,
    partial,
    ib_usage.moment(created_at) AS created_at,
    ib_usage.moment(asked_at) AS asked_at,
    CASE WHEN NOT hidden THEN salt END AS salt,
    commitment, link_n, link, session_key, seq
FROM (
    SELECT
        m.*, s.session_id,
        CASE WHEN (SELECT ib.is_candidate()) THEN m.role = 'assistant' AND EXISTS (
            SELECT FROM ib.events AS e
            WHERE e.session_key = m.session_key AND e.kind = 'withheld'
                AND ib_usage.whole(e.detail::json ->> 'turn') = m.turn
        ) ELSE m.session_key = ANY ((SELECT ib.hidden_talks())::bigint[]) END AS hidden
    FROM ib.messages AS m
    JOIN ib.sessions AS s ON s.session_key = m.session_key
) AS seen;

-- A candidate sees the details that a host would tell them. Who may not know what was adapted for a person sees the
-- times of every session's events relative to the usual limit, written anew, so that none looks as if it had been.
CREATE VIEW ib_usage.events AS
SELECT
    session_id, kind,
    ib_usage.moment(created_at) AS created_at,
    CASE WHEN NOT (SELECT ib.is_candidate()) THEN who END AS who,
    CASE
        WHEN hidden THEN NULL
        WHEN (SELECT ib.is_candidate()) THEN ib.candidates_detail(kind, detail)
        WHEN NOT timed THEN detail::json
        WHEN kind = 'time_limit' THEN json_build_object(
            'from', ib_usage.shared((detail::json ->> 'from')::double precision, factor),
            'to', ib_usage.shared((detail::json ->> 'to')::double precision, factor)
        )
        ELSE ((detail::jsonb - 'time_limit_s') || jsonb_strip_nulls(jsonb_build_object(
            'time_limit_s', ib_usage.shared((detail::json ->> 'time_limit_s')::double precision, factor)
        )))::json
    END AS detail,
    CASE WHEN NOT (hidden OR timed OR (SELECT ib.is_candidate())) THEN salt END AS salt,
    commitment, link_n, link, session_key, seq
FROM (
    SELECT
        e.*, s.session_id, ib_usage.time_factor(s.accommodation) AS factor,
        e.kind IN ('time_limit', 'opened') AND NOT (SELECT ib.knows_accommodations()) AS timed,
        CASE e.kind
            WHEN 'judged' THEN e.session_key = ANY ((SELECT ib.closed_sessions())::bigint[]) OR (
                NOT (SELECT ib.reads_all_scores()) AND NOT ib.has_rated_judged(e.session_key, e.detail::json ->> 'criterion')
                AND (s.meta::json ->> 'about' IS NULL OR e.session_key = ANY ((SELECT ib.hidden_talks())::bigint[]))
            )
            WHEN 'note' THEN e.session_key = ANY ((SELECT ib.closed_sessions())::bigint[])
            WHEN 'rubric' THEN e.session_key = ANY ((SELECT ib.closed_sessions())::bigint[])
            WHEN 'unfolded' THEN e.session_key = ANY ((SELECT ib.closed_sessions())::bigint[])
            ELSE false
        END AS hidden
    FROM ib.events AS e
    JOIN ib.sessions AS s ON s.session_key = e.session_key
) AS seen;

CREATE VIEW ib_usage.cells AS
SELECT
    s.session_id, c.n, c.execution_count, c.kind, c.source, c.source_sha, c.lines, c.ok,
    nullif(c.error, '') AS error,
    c.output_chars, c.output,
    ib_usage.moment(c.started_at) AS started_at,
    ib_usage.moment(c.ended_at) AS ended_at,
    c.salt, c.commitment, c.link_n, c.link, c.session_key, c.seq
FROM ib.cells AS c
JOIN ib.sessions AS s ON s.session_key = c.session_key;

-- A candidate sees of hidden tests how many passed.
CREATE VIEW ib_usage.checks AS
SELECT
    s.session_id, c.n,
    nullif(c.challenge_sha, '') AS challenge_sha,
    c.suite, c.passed, c.total,
    CASE WHEN c.suite = 'visible' OR NOT (SELECT ib.is_candidate()) THEN c.tests::json END AS tests,
    nullif(c.source_sha, '') AS source_sha,
    c.ran_on,
    ib_usage.moment(c.started_at) AS started_at,
    ib_usage.moment(c.ended_at) AS ended_at,
    CASE WHEN c.suite = 'visible' OR NOT (SELECT ib.is_candidate()) THEN c.salt END AS salt,
    c.commitment, c.link_n, c.link, c.session_key, c.seq
FROM ib.checks AS c
JOIN ib.sessions AS s ON s.session_key = c.session_key;

CREATE VIEW ib_usage.scores AS
SELECT
    s.session_id, c.criterion, c.rater, c.rater_kind, c.level, c.low, c.high, c.reason,
    c.quotes::json AS quotes,
    c.saw_model,
    nullif(c.rubric_sha, '') AS rubric_sha,
    nullif(c.model, '') AS model,
    nullif(c.prompt_version, '') AS prompt_version,
    ib_usage.moment(c.created_at) AS created_at,
    c.salt, c.commitment, c.link_n, c.link, c.session_key, c.seq
FROM ib.scores AS c
JOIN ib.sessions AS s ON s.session_key = c.session_key;

CREATE VIEW ib_usage.challenges AS
SELECT
    challenge_sha, name, version, text, files::json AS files,
    ib_usage.moment(first_used_at) AS first_used_at,
    0::bigint AS session_key, seq
FROM ib.challenges;
