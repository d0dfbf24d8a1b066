-- What people query, beside the tables calls, messages and events. Kept once: these statements run in
-- usage.duckdb itself and on the connection that answers %%usage, where the same names cover hot rows too.
-- Figures are rounded as round(x * 10) / 10: round(x, 1) looks at the exact value of the double, which no other
-- database does. All times are UTC. Money is exact: DECIMAL in US dollars, NULL where no price is known.

-- A session as it is now: the newest of its rows.
CREATE OR REPLACE VIEW sessions AS
SELECT * EXCLUDE (seq)
FROM internal.session_rows
SEMI JOIN (
    SELECT session_key, session_id, max(seq) AS seq FROM internal.session_rows GROUP BY session_key, session_id
) USING (session_key, session_id, seq);

-- What each session has used: `total_tokens` were billed, `charged_tokens` count against the budget, `in_doubt` is
-- charged until settled or written off.
CREATE OR REPLACE VIEW session_usage AS
SELECT
    s.session_id, s.candidate, s.role, s.level, s.challenge, s.model, s.status,
    coalesce(u.calls, 0) AS calls,
    coalesce(u.turns, 0) AS turns,
    TRY_CAST(coalesce(u.input_tokens, 0) AS BIGINT) AS input_tokens,
    TRY_CAST(coalesce(u.cached_tokens, 0) AS BIGINT) AS cached_tokens,
    TRY_CAST(coalesce(u.output_tokens, 0) AS BIGINT) AS output_tokens,
    TRY_CAST(coalesce(u.reasoning_tokens, 0) AS BIGINT) AS reasoning_tokens,
    TRY_CAST(coalesce(u.total_tokens, 0) AS BIGINT) AS total_tokens,
    s.charge,
    TRY_CAST(coalesce(u.charged_tokens, 0) AS BIGINT) AS charged_tokens,
    TRY_CAST(coalesce(u.in_doubt, 0) AS BIGINT) AS in_doubt,
    s.token_budget,
    TRY_CAST(greatest(0, s.token_budget - coalesce(u.charged_tokens, 0) - coalesce(u.in_doubt, 0)) AS BIGINT) AS left_tokens,
    u.cost_usd,
    coalesce(u.unpriced_calls, 0) AS unpriced_calls,
    s.started_at, s.ended_at, s.active_s
FROM sessions AS s
LEFT JOIN (
    SELECT
        session_id,  -- with the key, so that a question about one session reaches into the table
        session_key,
        count(*) FILTER (status = 'settled' AND total_tokens > 0) AS calls,
        -- count(DISTINCT turn), at a tenth of its time: a bit for each of the first 1,024 turns
        coalesce(bit_count(bitstring_agg(
            CASE WHEN status = 'settled' AND total_tokens > 0 AND turn BETWEEN 1 AND 1024 THEN turn END, 1, 1024
        )), 0) + coalesce(len(list_distinct(
            list(turn) FILTER (status = 'settled' AND total_tokens > 0 AND turn > 1024)
        )), 0) AS turns,
        sum(input_tokens) AS input_tokens,
        sum(cached_tokens) AS cached_tokens,
        sum(output_tokens) AS output_tokens,
        sum(reasoning_tokens) AS reasoning_tokens,
        sum(total_tokens) AS total_tokens,
        sum(charged_tokens) AS charged_tokens,
        sum(held_tokens) FILTER (status = 'in_doubt') AS in_doubt,
        sum(cost_usd) AS cost_usd,
        count(*) FILTER (status = 'settled' AND total_tokens > 0 AND cost_usd IS NULL) AS unpriced_calls
    FROM calls
    GROUP BY session_id, session_key
) AS u USING (session_id, session_key);

CREATE OR REPLACE VIEW usage_by_model AS
SELECT
    model,
    count(*) FILTER (status = 'settled') AS calls,
    count(*) FILTER (status = 'failed') AS failed,
    count(DISTINCT session_key) AS sessions,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(cached_tokens) AS BIGINT) AS cached_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    TRY_CAST(sum(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
    TRY_CAST(sum(total_tokens) AS BIGINT) AS total_tokens,
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
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    TRY_CAST(sum(total_tokens) AS BIGINT) AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM calls
GROUP BY ALL;

CREATE OR REPLACE VIEW usage_by_hour AS
SELECT
    date_trunc('hour', started_at) AS hour,
    model,
    count(*) FILTER (status = 'settled') AS calls,
    count(DISTINCT session_key) AS sessions,
    TRY_CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    TRY_CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    TRY_CAST(sum(total_tokens) AS BIGINT) AS total_tokens,
    sum(cost_usd) AS cost_usd
FROM calls
GROUP BY ALL;

-- A session's budget call by call: what had been charged after each (`used`), and what was left of the budget then.
-- Who asks for neither `call` nor `cost_usd` has no row sorted.
CREATE OR REPLACE VIEW burn_down AS
SELECT
    session_id,
    row_number() OVER one AS call,
    turn,
    ended_at,
    total_tokens,
    charged_tokens,
    used,
    token_budget,
    TRY_CAST(greatest(0, token_budget - used) AS BIGINT) AS left_tokens,
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
        THEN min(counted_tokens - input_tokens) END AS constant_difference,
    CASE WHEN constant_difference <> 0 AND n >= 3 THEN format(
        'every prompt is billed {} tokens {} than counted: budgets charge what is billed, estimates are off by '
        'that much; please report it with the model and a prompt', abs(constant_difference),
        CASE WHEN constant_difference < 0 THEN 'more' ELSE 'fewer' END) END AS advice
FROM calls
WHERE status = 'settled' AND source = 'api' AND counted_tokens IS NOT NULL
GROUP BY model;

-- The same for each construct that a prompt is made of, over all models: how often it was claimed to be
-- counted exactly, and how often that held. Calls belong to the newest event "counted" of their session and model.
CREATE OR REPLACE VIEW count_accuracy_by_construct AS
SELECT
    construct,
    count(*) AS n,
    count(*) FILTER (counted_exact) AS claimed_exact,
    count(*) FILTER (counted_exact AND counted_tokens = input_tokens) AS claims_held,
    avg((counted_tokens = input_tokens)::INTEGER) AS exact_share,
    avg(counted_tokens - input_tokens) AS mean_difference
FROM (
    SELECT c.counted_exact, c.counted_tokens, c.input_tokens, unnest(e.constructs) AS construct
    FROM calls AS c
    ASOF JOIN (
        SELECT
            session_key, session_id, (detail->>'turn')::INTEGER AS turn, detail->>'model' AS model,
            from_json(detail->'constructs', '["VARCHAR"]') AS constructs
        FROM events
        WHERE kind = 'counted'
    ) AS e
    ON c.session_key = e.session_key AND c.session_id = e.session_id AND c.model = e.model AND c.turn >= e.turn
    WHERE c.status = 'settled' AND c.source = 'api' AND c.counted_tokens IS NOT NULL AND c.turn > 0
)
GROUP BY construct;

-- How long replies took, in milliseconds: until their first piece, and until their end.
CREATE OR REPLACE VIEW latency AS
SELECT
    model,
    count(*) AS n,
    quantile_cont(first_piece_ms, 0.5) AS first_piece_p50_ms,
    quantile_cont(first_piece_ms, 0.95) AS first_piece_p95_ms,
    quantile_cont(first_piece_ms, 0.99) AS first_piece_p99_ms,
    quantile_cont(latency_ms, 0.5) AS p50_ms,
    quantile_cont(latency_ms, 0.95) AS p95_ms,
    quantile_cont(latency_ms, 0.99) AS p99_ms,
    max(latency_ms) AS max_ms
FROM calls
WHERE status = 'settled' AND error IS NULL AND latency_ms IS NOT NULL
GROUP BY model;

-- What became of the attempts: `retries` are those after a turn's first, `failed` cost nothing.
CREATE OR REPLACE VIEW attempts AS
SELECT
    model,
    count(*) AS attempts,
    count(*) FILTER (attempt > 1) AS retries,
    count(*) FILTER (status = 'settled' AND error IS NULL) AS answered,
    count(*) FILTER (status = 'settled' AND error IS NOT NULL) AS failed_and_billed,
    count(*) FILTER (status = 'failed') AS failed,
    count(*) FILTER (status = 'in_doubt') AS in_doubt,
    count(*) FILTER (status = 'written_off') AS written_off,
    round((count(*) FILTER (status = 'settled' AND error IS NULL) / count(*)) * 10000) / 10000 AS answered_share
FROM calls
GROUP BY model;

-- Failures by their kind (the names of our errors).
CREATE OR REPLACE VIEW failures AS
SELECT
    model, error, count(*) AS n, max(attempt) AS most_attempts,
    min(started_at) AS first_at, max(started_at) AS last_at
FROM calls
WHERE error IS NOT NULL
GROUP BY model, error;

-- Candidates on the same challenge, one row per session.
CREATE OR REPLACE VIEW candidates AS
SELECT
    u.challenge, u.candidate, u.session_id, u.model, u.status, u.turns,
    round(u.input_tokens / nullif(u.turns, 0)) AS prompt_per_turn,
    round(u.output_tokens / nullif(u.turns, 0)) AS reply_per_turn,
    u.total_tokens,
    u.charged_tokens,
    round((100 * u.charged_tokens / nullif(u.token_budget, 0)) * 10) / 10 AS percent_used,
    u.cost_usd,
    round((u.active_s / 60) * 10) / 10 AS active_minutes
FROM session_usage AS u
WHERE u.challenge <> '';

-- Turns and minutes that are left, when prompts go on growing as they have (least squares over the turns so
-- far; after one, by its reply and by a question of 150 tokens) and replies stay as long as they were on average.
-- What counts is what is charged.
-- %budget knows the texts, and so each next prompt to the token.
CREATE OR REPLACE VIEW forecast AS
WITH per_turn AS (
    SELECT session_id, session_key, turn, sum(charged_tokens - output_tokens) AS prompt,
        sum(output_tokens) AS reply
    FROM calls
    WHERE status = 'settled' AND total_tokens > 0 AND turn > 0
    GROUP BY session_id, session_key, turn
), fitted AS (
    SELECT
        session_id, session_key, count(*) AS turns, max(turn) AS last_turn, avg(reply) AS reply,
        CASE WHEN count(*) > 1 THEN greatest(regr_slope(prompt, turn), 0) ELSE avg(reply) + 158 END AS growth,
        avg(prompt) + growth * (max(turn) - avg(turn)) AS prompt
    FROM per_turn
    GROUP BY session_id, session_key
), sized AS (
    SELECT f.*, f.prompt + f.reply + f.growth AS next_turn, u.left_tokens, u.active_s
    FROM fitted AS f JOIN session_usage AS u USING (session_id)
)
SELECT
    z.session_id, s.candidate, s.model, s.status, z.turns,
    round(z.growth * 10) / 10 AS growth_per_turn,
    round(z.next_turn)::BIGINT AS next_turn_tokens,
    z.left_tokens,
    CASE WHEN z.growth > 0
        THEN floor((sqrt((z.next_turn - z.growth / 2) ** 2 + 2 * z.growth * z.left_tokens)
            - (z.next_turn - z.growth / 2)) / z.growth)
        ELSE floor(z.left_tokens / z.next_turn)
    END::BIGINT AS turns_left,
    round((turns_left * z.active_s / z.turns / 60) * 10) / 10 AS minutes_at_this_rate,
    CASE WHEN s.time_limit_s IS NOT NULL
        THEN round((greatest(0, s.time_limit_s - z.active_s) / 60) * 10) / 10 END AS minutes_of_time_limit
FROM sized AS z JOIN sessions AS s USING (session_id, session_key);

-- How good such a forecast was: the second half of each session's turns, foretold from its first half.
CREATE OR REPLACE VIEW forecast_error AS
WITH per_turn AS (
    SELECT
        session_id, session_key, model, turn, sum(charged_tokens - output_tokens) AS prompt,
        sum(output_tokens) AS reply,
        row_number() OVER one AS number, count(*) OVER (PARTITION BY session_id, session_key, model) AS turns
    FROM calls
    WHERE status = 'settled' AND total_tokens > 0 AND turn > 0
    GROUP BY session_id, session_key, model, turn
    WINDOW one AS (PARTITION BY session_id, session_key, model ORDER BY turn)
), fitted AS (
    SELECT
        session_id, session_key, model, max(turns) AS turns, max(turns) // 2 AS known_turns,
        avg(prompt + reply) FILTER (number <= turns // 2) AS average,
        greatest(regr_slope(prompt, number) FILTER (number <= turns // 2), 0) AS growth,
        avg(number) FILTER (number <= turns // 2) AS middle,
        sum(prompt + reply) FILTER (number > turns // 2) AS actual,
        sum(number) FILTER (number > turns // 2) AS numbers,
        count(*) FILTER (number > turns // 2) AS foretold
    FROM per_turn
    WHERE turns >= 4
    GROUP BY session_id, session_key, model
)
SELECT
    session_id, model, turns, known_turns,
    round(foretold * average + growth * (numbers - foretold * middle))::BIGINT AS forecast_tokens,
    actual::BIGINT AS actual_tokens,
    round((100 * (forecast_tokens / actual - 1)) * 10) / 10 AS error_percent,
    round((100 * (foretold * average / actual - 1)) * 10) / 10 AS error_percent_without_growth
FROM fitted;
