-- What people query, beside the tables calls, messages and events. Kept once: these statements run in
-- usage.duckdb itself and on the connection that answers %%usage, where the same names cover hot rows too.
-- All times are UTC. Money is exact: DECIMAL in US dollars, NULL where no price is known.

-- A session as it is now: the newest of its rows.
CREATE OR REPLACE VIEW sessions AS
SELECT * EXCLUDE (seq)
FROM internal.session_rows
QUALIFY row_number() OVER (PARTITION BY session_key, session_id ORDER BY seq DESC) = 1;

-- What each session has used. `held` is what is in doubt: charged until settled or written off.
CREATE OR REPLACE VIEW session_usage AS
SELECT
    s.session_id, s.candidate, s.role, s.level, s.challenge, s.model, s.status,
    coalesce(u.calls, 0) AS calls,
    coalesce(u.turns, 0) AS turns,
    coalesce(u.input_tokens, 0)::BIGINT AS input_tokens,
    coalesce(u.cached_tokens, 0)::BIGINT AS cached_tokens,
    coalesce(u.output_tokens, 0)::BIGINT AS output_tokens,
    coalesce(u.reasoning_tokens, 0)::BIGINT AS reasoning_tokens,
    coalesce(u.total_tokens, 0)::BIGINT AS total_tokens,
    coalesce(u.in_doubt, 0)::BIGINT AS in_doubt,
    s.token_budget,
    greatest(0, s.token_budget - coalesce(u.total_tokens, 0) - coalesce(u.in_doubt, 0))::BIGINT AS left_tokens,
    u.cost_usd,
    coalesce(u.unpriced_calls, 0) AS unpriced_calls,
    s.started_at, s.ended_at, s.active_s
FROM sessions AS s
LEFT JOIN (
    SELECT
        session_key,
        count(*) FILTER (status = 'settled' AND total_tokens > 0) AS calls,
        count(DISTINCT turn) FILTER (status = 'settled' AND total_tokens > 0 AND turn > 0) AS turns,
        sum(input_tokens) AS input_tokens,
        sum(cached_tokens) AS cached_tokens,
        sum(output_tokens) AS output_tokens,
        sum(reasoning_tokens) AS reasoning_tokens,
        sum(total_tokens) AS total_tokens,
        sum(held_tokens) FILTER (status = 'in_doubt') AS in_doubt,
        sum(cost_usd) AS cost_usd,
        count(*) FILTER (status = 'settled' AND total_tokens > 0 AND cost_usd IS NULL) AS unpriced_calls
    FROM calls
    GROUP BY session_key
) AS u USING (session_key);

CREATE OR REPLACE VIEW usage_by_model AS
SELECT
    model,
    count(*) FILTER (status = 'settled') AS calls,
    count(*) FILTER (status = 'failed') AS failed,
    count(DISTINCT session_key) AS sessions,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(cached_tokens)::BIGINT AS cached_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(reasoning_tokens)::BIGINT AS reasoning_tokens,
    sum(total_tokens)::BIGINT AS total_tokens,
    sum(cost_usd) AS cost_usd,
    median(latency_ms) FILTER (status = 'settled') AS median_latency_ms
FROM calls
GROUP BY model;

CREATE OR REPLACE VIEW usage_by_day AS
SELECT
    started_at::DATE AS day,
    model,
    count(*) FILTER (status = 'settled') AS calls,
    count(DISTINCT session_key) AS sessions,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(total_tokens)::BIGINT AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM calls
GROUP BY ALL;

-- A session's budget call by call: what had been used after each, and what was left of the budget then.
CREATE OR REPLACE VIEW burn_down AS
SELECT
    session_id,
    row_number() OVER one AS call,
    turn,
    ended_at,
    total_tokens,
    (sum(total_tokens) OVER one)::BIGINT AS used,
    token_budget,
    greatest(0, token_budget - sum(total_tokens) OVER one)::BIGINT AS left_tokens,
    sum(cost_usd) OVER one AS cost_usd
FROM calls
WHERE status = 'settled' AND total_tokens > 0
WINDOW one AS (PARTITION BY session_key, session_id ORDER BY seq ROWS UNBOUNDED PRECEDING);

-- Prompt tokens as we counted them against those the service billed. `constant_difference` is set when
-- every call differs by the same number.
CREATE OR REPLACE VIEW count_accuracy AS
SELECT
    model,
    count(*) AS n,
    count(*) FILTER (counted_exact) AS claimed_exact,
    avg((counted_tokens = input_tokens)::INTEGER) AS exact_share,
    avg(counted_tokens - input_tokens) AS mean_difference,
    min(counted_tokens - input_tokens) AS min_difference,
    max(counted_tokens - input_tokens) AS max_difference,
    CASE WHEN min(counted_tokens - input_tokens) = max(counted_tokens - input_tokens)
        THEN min(counted_tokens - input_tokens) END AS constant_difference
FROM calls
WHERE status = 'settled' AND source = 'api' AND counted_tokens IS NOT NULL
GROUP BY model;
