RESET ROLE;

-- Answer one query of somebody's with no more rights than an interviewer's login has, whoever is connected: inside a
-- function of another owner no role can be set, and the transaction only reads. The caller has described the
-- query before, so that it is one statement, and names its columns. Rows end at *most_rows*, or at *most_bytes*.
CREATE FUNCTION ib_usage.ask(query text, most_rows bigint, most_bytes bigint) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ib_usage, pg_catalog, pg_temp AS $$
DECLARE
    found record;
    n bigint := 0;
    size bigint := 0;
BEGIN
    FOR found IN EXECUTE query LOOP
        n := n + 1;
        size := size + pg_column_size(found);
        IF size > most_bytes THEN
            RAISE NOTICE USING ERRCODE = 'IB100', MESSAGE = 'more bytes than may be answered';
            EXIT;
        END IF;
        RETURN NEXT found;
        EXIT WHEN n > most_rows;
    END LOOP;
END $$;
GRANT CREATE ON SCHEMA ib_usage TO ib_asker;
ALTER FUNCTION ib_usage.ask(text, bigint, bigint) OWNER TO ib_asker;
REVOKE CREATE ON SCHEMA ib_usage FROM ib_asker;
REVOKE ALL ON FUNCTION ib_usage.ask(text, bigint, bigint) FROM PUBLIC, ib_candidate;
GRANT EXECUTE ON FUNCTION ib_usage.ask(text, bigint, bigint) TO ib_host;
