-- The documented views, with the names, columns and answers that plugins/ib_duckdb/views.sql gives.

-- What each session has used: `total_tokens` were billed, `charged_tokens` count against the budget, `in_doubt` is
-- charged until settled or written off.
CREATE VIEW ib_usage.session_usage AS
SELECT
    s.session_id, s.candidate, s.role, s.level, s.challenge, s.model, s.status,
    coalesce(u.calls, 0) AS calls,
    coalesce(u.turns, 0) AS turns,
    coalesce(u.input_tokens, 0) AS input_tokens,
    coalesce(u.cached_tokens, 0) AS cached_tokens,
    coalesce(u.output_tokens, 0) AS output_tokens,
    coalesce(u.reasoning_tokens, 0) AS reasoning_tokens,
    coalesce(u.total_tokens, 0) AS total_tokens,
    s.charge,
    coalesce(u.charged_tokens, 0) AS charged_tokens,
    coalesce(u.in_doubt, 0) AS in_doubt,
    s.token_budget,
    greatest(0, s.token_budget - coalesce(u.charged_tokens, 0) - coalesce(u.in_doubt, 0)) AS left_tokens,
    u.cost_usd,
    coalesce(u.unpriced_calls, 0) AS unpriced_calls,
    s.started_at, s.ended_at, s.active_s
FROM ib_usage.sessions AS s
LEFT JOIN (
    SELECT
        session_id,
        count(*) FILTER (WHERE status = 'settled' AND total_tokens > 0) AS calls,
        count(DISTINCT turn) FILTER (WHERE status = 'settled' AND total_tokens > 0 AND turn > 0) AS turns,
        sum(input_tokens)::bigint AS input_tokens,
        sum(cached_tokens)::bigint AS cached_tokens,
        sum(output_tokens)::bigint AS output_tokens,
        sum(reasoning_tokens)::bigint AS reasoning_tokens,
        sum(total_tokens)::bigint AS total_tokens,
        sum(charged_tokens)::bigint AS charged_tokens,
        (sum(held_tokens) FILTER (WHERE status = 'in_doubt'))::bigint AS in_doubt,
        sum(cost_usd) AS cost_usd,
        count(*) FILTER (WHERE status = 'settled' AND total_tokens > 0 AND cost_usd IS NULL) AS unpriced_calls
    FROM ib_usage.calls
    GROUP BY session_id
) AS u USING (session_id);

CREATE VIEW ib_usage.usage_by_model AS
SELECT
    model,
    count(*) FILTER (WHERE status = 'settled') AS calls,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(DISTINCT session_key) AS sessions,
    sum(input_tokens)::bigint AS input_tokens,
    sum(cached_tokens)::bigint AS cached_tokens,
    sum(output_tokens)::bigint AS output_tokens,
    sum(reasoning_tokens)::bigint AS reasoning_tokens,
    sum(total_tokens)::bigint AS total_tokens,
    sum(cost_usd) AS cost_usd,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE status = 'settled') AS median_latency_ms
FROM ib_usage.calls
GROUP BY model;

CREATE VIEW ib_usage.usage_by_day AS
SELECT
    started_at::date AS day,
    model,
    count(*) FILTER (WHERE status = 'settled') AS calls,
    count(DISTINCT session_key) AS sessions,
    sum(input_tokens)::bigint AS input_tokens,
    sum(output_tokens)::bigint AS output_tokens,
    sum(total_tokens)::bigint AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM ib_usage.calls
GROUP BY 1, 2;

CREATE VIEW ib_usage.usage_by_hour AS
SELECT
    date_trunc('hour', started_at) AS hour,
    model,
    count(*) FILTER (WHERE status = 'settled') AS calls,
    count(DISTINCT session_key) AS sessions,
    sum(input_tokens)::bigint AS input_tokens,
    sum(output_tokens)::bigint AS output_tokens,
    sum(total_tokens)::bigint AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM ib_usage.calls
GROUP BY 1, 2;

-- A session's budget call by call: what had been charged after each (`used`), and what was left of the budget then.
CREATE VIEW ib_usage.burn_down AS
SELECT
    session_id,
    row_number() OVER one AS call,
    turn,
    ended_at,
    total_tokens,
    charged_tokens,
    (sum(charged_tokens) OVER one)::bigint AS used,
    token_budget,
    greatest(0, token_budget - sum(charged_tokens) OVER one)::bigint AS left_tokens,
    sum(cost_usd) OVER one AS cost_usd
FROM ib_usage.calls
WHERE status = 'settled' AND total_tokens > 0
WINDOW one AS (PARTITION BY session_key, session_id ORDER BY seq ROWS UNBOUNDED PRECEDING);

-- Prompt tokens as we counted them against those the service billed. `constant_difference` is set when
-- every call differs by the same number.
CREATE VIEW ib_usage.count_accuracy AS
SELECT
    model, n, claimed_exact, exact_share, mean_difference, min_difference, max_difference, constant_difference,
    CASE WHEN constant_difference <> 0 AND n >= 3 THEN format(
        'every prompt is billed %s tokens %s than counted: budgets charge what is billed, estimates are off by '
        'that much; please report it with the model and a prompt', abs(constant_difference),
        CASE WHEN constant_difference < 0 THEN 'more' ELSE 'fewer' END) END AS advice
FROM (
    SELECT
        model,
        count(*) AS n,
        count(*) FILTER (WHERE counted_exact) AS claimed_exact,
        avg((counted_tokens = input_tokens)::integer)::double precision AS exact_share,
        avg(counted_tokens - input_tokens)::double precision AS mean_difference,
        min(counted_tokens - input_tokens) AS min_difference,
        max(counted_tokens - input_tokens) AS max_difference,
        CASE WHEN min(counted_tokens - input_tokens) = max(counted_tokens - input_tokens)
            THEN min(counted_tokens - input_tokens) END AS constant_difference
    FROM ib_usage.calls
    WHERE status = 'settled' AND source = 'api' AND counted_tokens IS NOT NULL
    GROUP BY model
) AS counted;

-- The same for each construct that a prompt is made of, over all models: how often it was claimed to be
-- counted exactly, and how often that held. Calls belong to the newest event "counted" of their session and model.
CREATE VIEW ib_usage.count_accuracy_by_construct AS
SELECT
    e.construct,
    count(*) AS n,
    count(*) FILTER (WHERE c.counted_exact) AS claimed_exact,
    count(*) FILTER (WHERE c.counted_exact AND c.counted_tokens = c.input_tokens) AS claims_held,
    avg((c.counted_tokens = c.input_tokens)::integer)::double precision AS exact_share,
    avg(c.counted_tokens - c.input_tokens)::double precision AS mean_difference
FROM ib_usage.calls AS c
JOIN (
    SELECT counted.*, construct.construct
    FROM (
        SELECT
            session_key, model, turn, constructs,
            lead(turn) OVER (PARTITION BY session_key, model ORDER BY turn, seq) AS until
        FROM (
            SELECT
                session_key, detail ->> 'model' AS model, ib_usage.whole(detail ->> 'turn') AS turn,
                detail -> 'constructs' AS constructs, seq
            FROM ib_usage.events
            WHERE kind = 'counted'
        ) AS told
        WHERE turn IS NOT NULL
    ) AS counted
    CROSS JOIN LATERAL json_array_elements_text(
        CASE WHEN json_typeof(counted.constructs) = 'array' THEN counted.constructs ELSE '[]' END
    ) AS construct (construct)
) AS e
ON c.session_key = e.session_key AND c.model = e.model AND c.turn >= e.turn
    AND (e.until IS NULL OR c.turn < e.until)
WHERE c.status = 'settled' AND c.source = 'api' AND c.counted_tokens IS NOT NULL AND c.turn > 0
GROUP BY e.construct;

-- How long replies took, in milliseconds: until their first piece, and until their end.
CREATE VIEW ib_usage.latency AS
SELECT
    model,
    count(*) AS n,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY first_piece_ms) AS first_piece_p50_ms,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY first_piece_ms) AS first_piece_p95_ms,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY first_piece_ms) AS first_piece_p99_ms,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50_ms,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_ms,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_ms) AS p99_ms,
    max(latency_ms) AS max_ms
FROM ib_usage.calls
WHERE status = 'settled' AND error IS NULL AND latency_ms IS NOT NULL
GROUP BY model;

-- What became of the attempts: `retries` are those after a turn's first, `failed` cost nothing.
CREATE VIEW ib_usage.attempts AS
SELECT
    model,
    count(*) AS attempts,
    count(*) FILTER (WHERE attempt > 1) AS retries,
    count(*) FILTER (WHERE status = 'settled' AND error IS NULL) AS answered,
    count(*) FILTER (WHERE status = 'settled' AND error IS NOT NULL) AS failed_and_billed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'in_doubt') AS in_doubt,
    count(*) FILTER (WHERE status = 'written_off') AS written_off,
    ib_usage.rounded(
        count(*) FILTER (WHERE status = 'settled' AND error IS NULL) / count(*)::double precision, 4
    ) AS answered_share
FROM ib_usage.calls
GROUP BY model;

-- Failures by their kind (the names of our errors).
CREATE VIEW ib_usage.failures AS
SELECT
    model, error, count(*) AS n, max(attempt) AS most_attempts,
    min(started_at) AS first_at, max(started_at) AS last_at
FROM ib_usage.calls
WHERE error IS NOT NULL
GROUP BY model, error;

-- Candidates on the same challenge, one row per session.
CREATE VIEW ib_usage.candidates AS
SELECT
    u.challenge, u.candidate, u.session_id, u.model, u.status, u.turns,
    ib_usage.rounded(u.input_tokens / nullif(u.turns, 0)::double precision) AS prompt_per_turn,
    ib_usage.rounded(u.output_tokens / nullif(u.turns, 0)::double precision) AS reply_per_turn,
    u.total_tokens,
    u.charged_tokens,
    ib_usage.rounded(100 * u.charged_tokens / nullif(u.token_budget, 0)::double precision, 1) AS percent_used,
    u.cost_usd,
    ib_usage.rounded(u.active_s / 60, 1) AS active_minutes
FROM ib_usage.session_usage AS u
WHERE u.challenge <> '';

-- Turns and minutes that are left, when prompts go on growing as they have (least squares over the turns so
-- far; after one, by its reply and by a question of 150 tokens) and replies stay as long as they were on average.
-- What counts is what is charged.
CREATE VIEW ib_usage.forecast AS
WITH per_turn AS (
    SELECT
        session_id, session_key, turn,
        sum(charged_tokens - output_tokens)::double precision AS prompt,
        sum(output_tokens)::double precision AS reply
    FROM ib_usage.calls
    WHERE status = 'settled' AND total_tokens > 0 AND turn > 0
    GROUP BY session_id, session_key, turn
), averaged AS (
    SELECT
        session_id, session_key, count(*) AS turns, max(turn) AS last_turn, avg(reply) AS reply,
        avg(prompt) AS mean_prompt, avg(turn::double precision) AS mean_turn,
        CASE WHEN count(*) > 1 THEN greatest(regr_slope(prompt, turn::double precision), 0)
            ELSE avg(reply) + 158 END AS growth
    FROM per_turn
    GROUP BY session_id, session_key
), sized AS (
    SELECT
        f.*, u.left_tokens, u.active_s,
        f.mean_prompt + f.growth * (f.last_turn - f.mean_turn) + f.reply + f.growth AS next_turn
    FROM averaged AS f JOIN ib_usage.session_usage AS u USING (session_id)
), foretold AS (
    SELECT
        sized.*,
        CASE WHEN growth > 0
            THEN floor((sqrt((next_turn - growth / 2) ^ 2 + 2 * growth * left_tokens)
                - (next_turn - growth / 2)) / growth)
            ELSE floor(left_tokens / nullif(next_turn, 0))
        END::bigint AS turns_left
    FROM sized
)
SELECT
    z.session_id, s.candidate, s.model, s.status, z.turns,
    ib_usage.rounded(z.growth, 1) AS growth_per_turn,
    ib_usage.rounded(z.next_turn)::bigint AS next_turn_tokens,
    z.left_tokens,
    z.turns_left,
    ib_usage.rounded(z.turns_left * z.active_s / z.turns / 60, 1) AS minutes_at_this_rate,
    CASE WHEN s.time_limit_s IS NOT NULL
        THEN ib_usage.rounded(greatest(0, s.time_limit_s - z.active_s) / 60, 1) END AS minutes_of_time_limit
FROM foretold AS z JOIN ib_usage.sessions AS s USING (session_id, session_key);

-- How good such a forecast was: the second half of each session's turns, foretold from its first half.
CREATE VIEW ib_usage.forecast_error AS
WITH per_turn AS (
    SELECT
        session_id, session_key, model, turn,
        sum(charged_tokens - output_tokens)::double precision AS prompt,
        sum(output_tokens)::double precision AS reply,
        row_number() OVER (PARTITION BY session_id, session_key, model ORDER BY turn) AS number,
        count(*) OVER (PARTITION BY session_id, session_key, model) AS turns
    FROM ib_usage.calls
    WHERE status = 'settled' AND total_tokens > 0 AND turn > 0
    GROUP BY session_id, session_key, model, turn
), fitted AS (
    SELECT
        session_id, session_key, model, max(turns) AS turns, max(turns) / 2 AS known_turns,
        avg(prompt + reply) FILTER (WHERE number <= turns / 2) AS average,
        greatest(regr_slope(prompt, number::double precision) FILTER (WHERE number <= turns / 2), 0) AS growth,
        avg(number::double precision) FILTER (WHERE number <= turns / 2) AS middle,
        sum(prompt + reply) FILTER (WHERE number > turns / 2) AS actual,
        (sum(number) FILTER (WHERE number > turns / 2))::double precision AS numbers,
        count(*) FILTER (WHERE number > turns / 2) AS foretold
    FROM per_turn
    WHERE turns >= 4
    GROUP BY session_id, session_key, model
), told AS (
    SELECT
        fitted.*,
        ib_usage.rounded(foretold * average + growth * (numbers - foretold * middle))::bigint AS forecast_tokens
    FROM fitted
)
SELECT
    session_id, model, turns, known_turns, forecast_tokens,
    actual::bigint AS actual_tokens,
    ib_usage.rounded(100 * (forecast_tokens / nullif(actual, 0) - 1), 1) AS error_percent,
    ib_usage.rounded(100 * (foretold * average / nullif(actual, 0) - 1), 1) AS error_percent_without_growth
FROM told;
