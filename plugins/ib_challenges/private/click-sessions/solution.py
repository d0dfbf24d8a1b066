VISITS = """
WITH once AS (SELECT DISTINCT user_id, clicked_at, page FROM clicks WHERE user_id IS NOT NULL),
marked AS (
    SELECT *, coalesce(clicked_at - lag(clicked_at) OVER w > INTERVAL 30 MINUTES, true) AS begins
    FROM once WINDOW w AS (PARTITION BY user_id ORDER BY clicked_at, page)
),
numbered AS (
    SELECT *, sum(begins::INTEGER) OVER (PARTITION BY user_id ORDER BY clicked_at, page) AS visit FROM marked
)
SELECT user_id, visit::BIGINT AS visit, min(clicked_at) AS started_at,
    (epoch_us(max(clicked_at)) - epoch_us(min(clicked_at))) // 60000000 AS minutes, count(*) AS clicks,
    first(page ORDER BY clicked_at, page) AS first_page, last(page ORDER BY clicked_at, page) AS last_page
FROM numbered GROUP BY ALL ORDER BY user_id, visit
"""
