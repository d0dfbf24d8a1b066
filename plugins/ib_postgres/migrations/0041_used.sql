-- Each call says what its session had been charged by then, itself included. Seen from the session's sum, so that rows
-- which were lost before the ledger was moved here are counted.
ALTER TABLE ib.calls ADD COLUMN used bigint;

UPDATE ib.calls AS c SET used = s.charged_tokens - l.later
FROM ib.sessions AS s, (
    SELECT session_key, rid, coalesce(sum(CASE WHEN status = 'settled' THEN charged_tokens END) OVER (
        PARTITION BY session_key ORDER BY seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    ), 0)::bigint AS later
    FROM ib.calls
) AS l
WHERE l.session_key = c.session_key AND l.rid = c.rid AND s.session_key = c.session_key;

-- Take an ended attempt off its session's sums and write its row. p_held is a reservation that is already deleted (its
-- turn NULL: the session's next). p_end NULL leaves no row (released); a row of another status than settled adds
-- nothing to the sums. Only what is needed of a row is read and handed on: this runs for every call.
CREATE OR REPLACE FUNCTION ib.end_attempt(
    p_held ib.reservations, p_end jsonb, p_status text, p_texts jsonb, p_now double precision, p_most double precision
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    key CONSTANT bigint := p_held.session_key;
    settled CONSTANT boolean := p_status = 'settled';
    was_held CONSTANT boolean := p_held.state = 'held';
    texts CONSTANT integer := coalesce(jsonb_array_length(p_texts), 0);
    s record;
    e record;
    n bigint;
    head bytea;
    numbered integer := p_held.turn;
    charged bigint;
    overdraft bigint := 0;
    used bigint := 0;
    another integer := 0;
BEGIN
    SELECT f.session_id, f.charge, f.charged_tokens, f.token_budget, f.last_turn, f.chain_n, f.chain_head INTO s
    FROM ib.sessions AS f WHERE f.session_key = key FOR UPDATE;
    SELECT * INTO e FROM jsonb_to_record(p_end) AS x(
        model_returned text, input_tokens bigint, cached_tokens bigint, output_tokens bigint, reasoning_tokens bigint,
        charged_tokens bigint, source text, cost_nano_usd bigint, price_source text, latency_ms double precision,
        first_piece_ms double precision, finish_reason text, error text, response_id text, raw_usage text
    );
    n := s.chain_n;
    head := s.chain_head;
    IF p_end IS NOT NULL THEN
        numbered := coalesce(numbered, s.last_turn + 1);
        charged := CASE WHEN s.charge = 'new' AND e.charged_tokens IS NOT NULL THEN e.charged_tokens
            ELSE e.input_tokens + e.output_tokens END;
        IF settled THEN
            used := e.input_tokens + e.output_tokens;
            overdraft := greatest(0, charged - p_held.tokens);
            IF used > 0 AND numbered > 0 THEN
                PERFORM 1 FROM ib.calls AS o WHERE o.session_key = key AND o.turn = numbered
                    AND o.turn > 0  -- said again, so that a prepared plan may use the index
                    AND o.status = 'settled' AND o.input_tokens + o.output_tokens > 0;
                another := CASE WHEN FOUND THEN 0 ELSE 1 END;
            END IF;
        END IF;
        n := n + 1;
        head := ib.link(head, s.session_id, concat_ws(',', '["calls"', numbered, p_held.attempt,
            ib.canonical(p_held.client), ib.canonical(p_held.model), ib.canonical(e.model_returned),
            ib.canonical(p_held.counted_tokens), ib.canonical(p_held.counted_exact), ib.canonical(e.input_tokens),
            ib.canonical(e.cached_tokens), ib.canonical(e.output_tokens), ib.canonical(e.reasoning_tokens),
            ib.canonical(charged), ib.canonical(e.source), ib.canonical(e.cost_nano_usd), ib.canonical(e.price_source),
            ib.canonical(e.latency_ms, 1e3), ib.canonical(e.first_piece_ms, 1e3), ib.canonical(e.finish_reason),
            ib.canonical(p_status), ib.canonical(e.error), p_held.tokens, overdraft, s.token_budget,
            ib.canonical(p_held.prompt_version), ib.canonical(e.response_id), ib.canonical(e.raw_usage),
            ib.canonical(p_held.history_from_turn::bigint), ib.canonical(p_held.sent_hmac),
            ib.canonical(p_held.created_at, 1e6), ib.canonical(greatest(p_held.created_at, p_now), 1e6), 'null]'));
        INSERT INTO ib.calls (rid, session_key, turn, attempt, client, model, model_returned, counted_tokens,
            counted_exact, input_tokens, cached_tokens, output_tokens, reasoning_tokens, source, cost_nano_usd,
            price_source, latency_ms, first_piece_ms, finish_reason, status, error, held_tokens, overdraft,
            token_budget, prompt_version, response_id, raw_usage, started_at, ended_at, owner_hash, charged_tokens,
            used, history_from_turn, sent_hmac, link_n, link)
        VALUES (p_held.rid, key, numbered, p_held.attempt, p_held.client, p_held.model, e.model_returned,
            p_held.counted_tokens, p_held.counted_exact, e.input_tokens, e.cached_tokens, e.output_tokens,
            e.reasoning_tokens, e.source, e.cost_nano_usd, e.price_source, e.latency_ms, e.first_piece_ms,
            e.finish_reason, p_status, e.error, p_held.tokens, overdraft, s.token_budget, p_held.prompt_version,
            e.response_id, e.raw_usage, p_held.created_at, greatest(p_held.created_at, p_now), p_held.owner_hash,
            charged, s.charged_tokens + CASE WHEN settled THEN charged ELSE 0 END,
            p_held.history_from_turn, p_held.sent_hmac, n, head);
        IF texts > 0 THEN
            SELECT * INTO n, head FROM ib.append_messages(key, s.session_id, p_texts, numbered, p_now, n, head);
        END IF;
    END IF;
    UPDATE ib.sessions AS f SET
        active_s = ib.active_now(f.active_s, f.tick_at, p_now, p_most),
        tick_at = ib.ticked(f.tick_at, p_now, p_most),
        held = f.held - CASE WHEN was_held THEN p_held.tokens ELSE 0 END,
        in_doubt = f.in_doubt - CASE WHEN was_held THEN 0 ELSE p_held.tokens END,
        running = f.running - was_held::integer,
        held_billed = f.held_billed - p_held.billed_tokens,
        held_nano_usd = f.held_nano_usd - p_held.nano_usd,
        charged_tokens = f.charged_tokens + CASE WHEN settled THEN charged ELSE 0 END,
        input_tokens = f.input_tokens + CASE WHEN settled THEN e.input_tokens ELSE 0 END,
        output_tokens = f.output_tokens + CASE WHEN settled THEN e.output_tokens ELSE 0 END,
        cached_tokens = f.cached_tokens + CASE WHEN settled THEN e.cached_tokens ELSE 0 END,
        reasoning_tokens = f.reasoning_tokens + CASE WHEN settled THEN e.reasoning_tokens ELSE 0 END,
        cost_nano_usd = f.cost_nano_usd + CASE WHEN settled THEN coalesce(e.cost_nano_usd, 0) ELSE 0 END,
        calls = f.calls + (used > 0)::integer,
        turns = f.turns + another,
        priced_calls = f.priced_calls + (settled AND e.cost_nano_usd IS NOT NULL)::integer,
        unpriced_calls = f.unpriced_calls + (used > 0 AND e.cost_nano_usd IS NULL)::integer,
        messages = f.messages + texts,
        last_turn = greatest(f.last_turn, numbered),
        chain_n = n,
        chain_head = head
    WHERE f.session_key = key;
    IF p_held.nano_usd <> 0 OR (settled AND e.cost_nano_usd <> 0) THEN
        PERFORM ib.count_money(
            -p_held.nano_usd, CASE WHEN settled THEN coalesce(e.cost_nano_usd, 0) ELSE 0 END, p_now);
    END IF;
    IF p_end IS NOT NULL THEN
        INSERT INTO ib.changes (session_key, kinds, changed_at)
        VALUES (key, CASE WHEN texts > 0 THEN '{call,message}'::text[] ELSE '{call}' END, p_now);
    END IF;
END $$;
