-- Records usage that has happened: all of the events, in their order, or none. Each is a list of key, receipt, user, meter,
-- units, instant, limit, end of the period, and counters. It answers for each whether it was recorded just now, and with the
-- first receipt if its key was known.
CREATE FUNCTION usage_record(its_company text, its_events json) RETURNS TABLE (is_new boolean, known text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    event json;
    instant bigint;
    counters record;
    alerts record;
    debit record;
BEGIN
    SELECT max((value ->> 5)::bigint) INTO instant FROM json_array_elements(its_events) AS value;
    -- Every counter that will be needed, before the first one changes.
    SELECT array_agg(asked.meter) AS meters, array_agg(asked.bucket) AS buckets, array_agg(asked.start) AS starts,
        array_agg(asked.end_) AS ends
    INTO counters
    FROM (
        SELECT counter ->> 2 AS meter, counter ->> 3 AS bucket, (counter ->> 4)::bigint AS start,
            (counter ->> 5)::bigint AS end_
        FROM json_array_elements(its_events) AS value, json_array_elements(value -> 8) AS counter
        UNION ALL
        SELECT part ->> 0, part ->> 1, (part ->> 2)::bigint, (part ->> 3)::bigint
        FROM usage_reservations AS reservation
        JOIN usage_receipts AS receipt
            ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id
        CROSS JOIN json_array_elements(receipt.split) AS part
        WHERE reservation.company_id = its_company AND NOT reservation.freed AND reservation.expires_at <= instant
    ) AS asked;
    PERFORM usage_lock(its_company, counters.meters, counters.buckets, counters.starts, counters.ends);

    FOR event IN SELECT value FROM json_array_elements(its_events) WITH ORDINALITY AS one (value, place) ORDER BY place
    LOOP
        instant := (event ->> 5)::bigint;
        SELECT
            array_agg(value ->> 2 ORDER BY place) AS meters, array_agg(value ->> 3 ORDER BY place) AS buckets,
            array_agg((value ->> 4)::bigint ORDER BY place) AS starts,
            array_agg((value ->> 5)::bigint ORDER BY place) AS ends,
            array_agg((value ->> 6)::bigint ORDER BY place) AS limits,
            array_agg((value ->> 0)::bigint ORDER BY place) AS numbers,
            array_agg(
                place ORDER BY (value ->> 2) COLLATE "C", (value ->> 3) COLLATE "C", (value ->> 4)::bigint
            ) AS lock_order
        INTO counters
        FROM json_array_elements(event -> 8) WITH ORDINALITY AS asked (value, place);
        SELECT
            coalesce(array_agg(place ORDER BY place, number), '{}') AS places,
            coalesce(array_agg((threshold ->> 0)::bigint ORDER BY place, number), '{}') AS percents,
            coalesce(array_agg((threshold ->> 1)::bigint ORDER BY place, number), '{}') AS thresholds
        INTO alerts
        FROM json_array_elements(event -> 8) WITH ORDINALITY AS asked (value, place),
            json_array_elements(value -> 7) WITH ORDINALITY AS alert (threshold, number);
        IF EXISTS (
            SELECT FROM usage_reservations AS reservation
            WHERE reservation.company_id = its_company AND NOT reservation.freed AND reservation.expires_at <= instant
        ) THEN
            PERFORM usage_free(
                its_company, instant, counters.meters, counters.buckets, counters.starts, counters.ends
            );
        END IF;
        SELECT made.taken, made.known INTO debit FROM usage_debit(
            its_company, event ->> 0, event ->> 1, event ->> 2, event ->> 3, (event ->> 4)::bigint, instant,
            (event ->> 6)::bigint, (event ->> 7)::bigint,
            counters.meters, counters.buckets, counters.starts, counters.ends, counters.limits, counters.numbers,
            counters.lock_order, alerts.places, alerts.percents, alerts.thresholds
        ) AS made;
        is_new := debit.taken IS NOT NULL;
        known := debit.known;
        IF NOT is_new AND known IS NULL THEN
            RAISE 'a counter cannot hold so many units';
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
