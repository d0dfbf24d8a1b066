-- What people and models conclude, and what must be equal before two interviews are read side by side. Figures
-- about raters leave practice and a judge's own sessions out.

-- Each rater's newest level for each criterion of each session. The earlier ones stay in `scores`.
CREATE OR REPLACE VIEW latest_scores AS
SELECT
    session_id, criterion, rater, rater_kind, level, low, high, reason, quotes, saw_model, rubric_sha, model,
    prompt_version, created_at, session_key
FROM (
    SELECT
        *, row_number() OVER (
            PARTITION BY session_key, session_id, criterion, rater, rater_kind ORDER BY seq DESC
        ) AS place
    FROM scores
) AS placed
WHERE place = 1;

-- Each rater's newest level that was given before they could see anybody else's: their first, or a later one
-- while nobody else had rated the criterion. A model sees no levels; its newest counts.
CREATE OR REPLACE VIEW apart_scores AS
SELECT session_id, criterion, rater, rater_kind, level, rubric_sha, created_at, session_key
FROM (
    SELECT
        n.*, row_number() OVER (
            PARTITION BY session_key, session_id, criterion, rater, rater_kind ORDER BY seq DESC
        ) AS place
    FROM (
        SELECT
            s.*,
            row_number() OVER (
                PARTITION BY s.session_key, s.session_id, s.criterion, s.rater, s.rater_kind ORDER BY s.seq
            ) AS own,
            row_number() OVER (
                PARTITION BY s.session_key, s.session_id, s.criterion ORDER BY s.seq
            ) AS every
        FROM scores AS s
        JOIN sessions AS o ON o.session_key = s.session_key AND o.session_id = s.session_id
        WHERE coalesce(o.meta ->> 'practice', 'false') <> 'true' AND (o.meta ->> 'about') IS NULL
    ) AS n
    WHERE level IS NOT NULL AND (rater_kind = 'model' OR own = 1 OR own = every)
) AS placed
WHERE place = 1;

-- How far two raters agree on a criterion, over the `n` sessions that both have rated: the share of equal levels
-- and the quadratically weighted kappa on the scale of 0 to 3. NULL where both gave one and the same level
-- always. SQL cannot resample: `%interview agreement` has the intervals.
CREATE OR REPLACE VIEW agreement AS
WITH named AS (
    SELECT
        session_key, session_id, criterion, level,
        CASE rater_kind WHEN 'model' THEN rater || ' (model)' ELSE rater END AS rater
    FROM apart_scores
)
SELECT
    a.criterion, a.rater AS rater_a, b.rater AS rater_b,
    count(*) AS n,
    avg(CASE WHEN a.level = b.level THEN 1.0 ELSE 0.0 END) AS equal_share,
    1.0 - count(*) * sum((a.level - b.level) * (a.level - b.level))
        / nullif(1.0 * (count(*) * sum(a.level * a.level + b.level * b.level) - 2 * sum(a.level) * sum(b.level)), 0)
        AS kappa
FROM named AS a
JOIN named AS b
ON b.session_key = a.session_key AND b.session_id = a.session_id AND b.criterion = a.criterion AND b.rater > a.rater
GROUP BY a.criterion, a.rater, b.rater;

-- How each rater uses the levels of a criterion, and how far they stand from the people who rated the same
-- sessions (`beside` of them): above 0 is milder, below 0 is stricter. Not who is right.
CREATE OR REPLACE VIEW calibration AS
SELECT
    criterion, rater, rater_kind,
    count(*) AS n,
    avg(1.0 * level) AS mean_level,
    avg(CASE level WHEN 0 THEN 1.0 ELSE 0.0 END) AS share_0,
    avg(CASE level WHEN 1 THEN 1.0 ELSE 0.0 END) AS share_1,
    avg(CASE level WHEN 2 THEN 1.0 ELSE 0.0 END) AS share_2,
    avg(CASE level WHEN 3 THEN 1.0 ELSE 0.0 END) AS share_3,
    count(others) AS beside,
    avg(level - others) AS mean_difference
FROM (
    SELECT
        a.session_key, a.session_id, a.criterion, a.rater, a.rater_kind, a.level,
        avg(1.0 * b.level) AS others
    FROM apart_scores AS a
    LEFT JOIN apart_scores AS b
    ON b.session_key = a.session_key AND b.session_id = a.session_id AND b.criterion = a.criterion
        AND b.rater_kind = 'person' AND NOT (a.rater_kind = 'person' AND b.rater = a.rater)
    GROUP BY a.session_key, a.session_id, a.criterion, a.rater, a.rater_kind, a.level
) AS rated
GROUP BY criterion, rater, rater_kind;

-- What seeing the model's level does to people's: how far theirs were from it before and after it could be seen
-- (`before_n` and `after_n` levels), how many were changed afterwards, and how many of these towards it.
CREATE OR REPLACE VIEW order_effect AS
WITH people AS (
    SELECT
        session_key, session_id, criterion, rater, saw_model, level,
        row_number() OVER (
            PARTITION BY session_key, session_id, criterion, rater, saw_model ORDER BY seq DESC
        ) AS place
    FROM scores
    WHERE rater_kind = 'person' AND level IS NOT NULL
), models AS (
    SELECT session_key, session_id, criterion, avg(1.0 * level) AS level
    FROM latest_scores
    WHERE rater_kind = 'model' AND level IS NOT NULL
    GROUP BY session_key, session_id, criterion
), pairs AS (
    SELECT
        p.criterion,
        max(CASE WHEN NOT p.saw_model THEN p.level END) AS before_level,
        max(CASE WHEN p.saw_model THEN p.level END) AS after_level,
        max(m.level) AS model_level
    FROM people AS p
    JOIN models AS m
    ON m.session_key = p.session_key AND m.session_id = p.session_id AND m.criterion = p.criterion
    WHERE p.place = 1
    GROUP BY p.session_key, p.session_id, p.criterion, p.rater
)
SELECT
    criterion,
    count(before_level) AS before_n,
    avg(abs(before_level - model_level)) AS before_distance,
    count(after_level) AS after_n,
    avg(abs(after_level - model_level)) AS after_distance,
    count(CASE WHEN after_level <> before_level THEN 1 END) AS changed,
    count(CASE WHEN abs(after_level - model_level) < abs(before_level - model_level) THEN 1 END) AS towards_model
FROM pairs
GROUP BY criterion;

-- What each interview was opened with: interviews with the same `set_key` may be read side by side. `minutes` is
-- the usual limit, without what was adapted for one person. What was changed on the way stands beside it.
CREATE OR REPLACE VIEW conditions AS
WITH given AS (
    SELECT
        s.session_key, s.session_id, s.candidate, s.status, s.challenge, c.version AS challenge_version, s.challenge_sha,
        s.role, s.level, s.model, s.client, s.persona, s.prompt_version,
        TRY_CAST(s.meta ->> 'temperature' AS DOUBLE) AS temperature,
        s.charge,
        coalesce(s.token_budget_at_start, s.token_budget) AS token_budget,
        CASE WHEN e.money_changes > 0 THEN e.first_money / 1e9 ELSE s.budget_usd END AS budget_usd,
        coalesce(
            TRY_CAST((s.meta -> 'conditions') ->> 'time_limit_s' AS DOUBLE), s.time_limit_at_start_s, s.time_limit_s
        ) / 60 AS minutes,
        TRY_CAST((s.meta -> 'conditions') ->> 'hints' AS INTEGER) AS hints,
        coalesce(e.own_tools, 0) > 0 AS own_tools,
        coalesce(s.meta ->> 'practice', 'false') = 'true' AS practice,
        s.token_budget - coalesce(s.token_budget_at_start, s.token_budget) AS added_tokens,
        coalesce(e.added_s, 0) / 60 AS added_minutes,
        coalesce(e.pauses, 0) AS pauses,
        s.started_at
    FROM sessions AS s
    LEFT JOIN challenges AS c ON c.challenge_sha = (s.meta -> 'challenge') ->> 'sha'
    LEFT JOIN (
        SELECT
            session_key, session_id,
            count(CASE WHEN kind = 'invited' AND detail ->> 'gateway' = 'true' THEN 1 END) AS own_tools,
            count(CASE WHEN kind = 'status' AND detail ->> 'to' = 'paused' THEN 1 END) AS pauses,
            sum(CASE WHEN kind = 'time_limit' THEN
                TRY_CAST(detail ->> 'to' AS DOUBLE) - TRY_CAST(detail ->> 'from' AS DOUBLE) END) AS added_s,
            count(CASE WHEN kind = 'budget' AND detail ->> 'unit' = 'budget_nano_usd' THEN 1 END) AS money_changes,
            min_by(TRY_CAST(detail ->> 'from' AS DOUBLE), seq)
                FILTER (kind = 'budget' AND detail ->> 'unit' = 'budget_nano_usd') AS first_money
        FROM events
        GROUP BY session_key, session_id
    ) AS e ON e.session_key = s.session_key AND e.session_id = s.session_id
    WHERE (s.meta ->> 'about') IS NULL
)
SELECT
    session_id, candidate, status,
    md5(concat_ws(
        '|', challenge, coalesce(challenge_version, ''), coalesce(challenge_sha, ''), lower(role), lower(level), model,
        client, persona, prompt_version, coalesce(temperature::VARCHAR, ''), charge, token_budget::VARCHAR,
        coalesce(budget_usd::VARCHAR, ''), coalesce((round(minutes * 100) / 100)::VARCHAR, ''), coalesce(hints::VARCHAR, ''),
        own_tools::VARCHAR
    )) AS set_key,
    challenge, challenge_version, challenge_sha, role, level, model, client, persona, prompt_version, temperature,
    charge, token_budget, budget_usd, minutes, hints, own_tools, practice, added_tokens, added_minutes, pauses,
    started_at, session_key
FROM given;
