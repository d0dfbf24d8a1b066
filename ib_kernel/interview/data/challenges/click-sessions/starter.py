# One DuckDB query over the table clicks(user_id, clicked_at, page); see the task for its columns and order.
VISITS = """
SELECT user_id, clicked_at, page FROM clicks ORDER BY ALL
"""
