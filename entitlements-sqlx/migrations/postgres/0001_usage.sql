-- What takes units and gives them back: functions, so that all of it is one round trip.

-- Takes units, or takes nothing. It answers with a receipt's `used` and `split` if units were taken, with the first receipt
-- if the key is known, and with nothing if the units do not fit.
--
-- The arrays have an element for each counter: the buckets' counters in the order of the buckets, with the number of the
-- bucket, then the tallies, without one. `lock_order` lists their places (from 1) in ascending order of meter, bucket and
-- start; `alert_places` says whose threshold each of the other two is.
--
-- Two rounds. The first takes no lock: what is known or does not fit is answered at once, and changes nothing. The second
-- locks every counter until the end of the transaction and reads it again, so that a sum that was checked is still the sum
-- when it is raised. A counter that is missing is made first, since there is no lock on a row that is not there.
--
-- * Each inner statement sees what was committed before it began (READ COMMITTED). The key is looked up after the counters
--   were read: if it is unknown then, it was unknown when the units did not fit, and that is the instant of the refusal.
-- * Everybody, refunds included, locks counters one by one in the same order, so that nobody waits in a circle.
-- * Two debits with one key but without a common counter meet at the key of the receipt: the second waits for the first, and
--   then finds it. The first needs no lock that the second holds.
--
-- Plans are made once, for indices: one that was made for a table that was empty then must not read a large one.
CREATE FUNCTION usage_debit(
    its_company text, its_key text, its_receipt text, its_user text, its_meter text, its_amount bigint,
    its_instant bigint, its_limit bigint, its_reset bigint,
    meters text[], buckets text[], starts bigint[], ends bigint[], limits bigint[], numbers bigint[],
    lock_order bigint[], alert_places bigint[], alert_percents bigint[], alert_thresholds bigint[],
    OUT now_used bigint, OUT taken text, OUT known text
) LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    largest CONSTANT bigint := 9223372036854775807;
    places CONSTANT integer := cardinality(meters);
    -- What each counter holds, and what it receives.
    held bigint[] := array_fill(0::bigint, ARRAY[places]);
    units bigint[];
    locking boolean := FALSE;
    fits boolean;
    shown numeric;
    missing bigint;
    room bigint;
    first integer;
    past integer;
    place integer;
    parts text := '';
    crossed text;
    crossing integer;
    crossings integer[] := '{}';
BEGIN
    LOOP
        FOREACH place IN ARRAY lock_order LOOP
            IF locking THEN
                LOOP
                    SELECT used INTO room FROM usage_quotas
                    WHERE company_id = its_company AND meter = meters[place] AND bucket = buckets[place]
                        AND period_start = starts[place]
                    FOR UPDATE;
                    EXIT WHEN FOUND;
                    INSERT INTO usage_quotas (company_id, meter, bucket, period_start, period_end, used)
                    VALUES (its_company, meters[place], buckets[place], starts[place], ends[place], 0)
                    ON CONFLICT DO NOTHING;
                END LOOP;
            ELSE
                SELECT used INTO room FROM usage_quotas
                WHERE company_id = its_company AND meter = meters[place] AND bucket = buckets[place]
                    AND period_start = starts[place];
            END IF;
            held[place] := coalesce(room, 0);
        END LOOP;

        -- One bucket after the other gives what its shortest counter has room for, until nothing is missing.
        units := array_fill(0::bigint, ARRAY[places]);
        shown := 0;
        missing := its_amount;
        first := 1;
        WHILE numbers[first] IS NOT NULL LOOP
            room := missing;
            past := first;
            WHILE numbers[past] = numbers[first] LOOP
                IF limits[past] - held[past] < room THEN
                    room := greatest(limits[past] - held[past], 0);
                END IF;
                past := past + 1;
            END LOOP;
            FOR place IN first..past - 1 LOOP
                units[place] := room;
            END LOOP;
            shown := shown + held[first] + room;
            missing := missing - room;
            first := past;
        END LOOP;
        FOR place IN first..places LOOP
            units[place] := its_amount;
        END LOOP;
        fits := missing = 0;
        FOR place IN 1..places LOOP
            fits := fits AND held[place] <= largest - units[place];
        END LOOP;

        IF NOT (fits AND locking) THEN
            SELECT receipt INTO known FROM usage_receipt_rows
            WHERE company_id = its_company AND idempotency_key = its_key;
            IF FOUND OR NOT fits THEN
                RETURN;
            END IF;
        END IF;
        EXIT WHEN locking;
        locking := TRUE;
    END LOOP;

    FOR place IN 1..places LOOP
        CONTINUE WHEN units[place] = 0;
        crossed := '';
        FOR crossing IN 1..cardinality(alert_places) LOOP
            IF alert_places[crossing] = place AND held[place] < alert_thresholds[crossing]
                AND alert_thresholds[crossing] <= held[place] + units[place]
            THEN
                crossed := concat(crossed, ',[', alert_percents[crossing], ',', alert_thresholds[crossing], ']');
                crossings := crossings || crossing;
            END IF;
        END LOOP;
        parts := concat(parts, ',', json_build_array(
            meters[place], buckets[place], starts[place], ends[place], units[place], held[place] + units[place],
            concat('[', substr(crossed, 2), ']')::json
        ));
    END LOOP;
    parts := concat('[', substr(parts, 2), ']');

    INSERT INTO usage_receipts (
        company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split
    ) VALUES (
        its_company, its_key, its_receipt, its_user, its_meter, its_amount, its_instant, its_limit, its_reset,
        least(shown, largest)::bigint, parts::json
    )
    ON CONFLICT DO NOTHING
    RETURNING used INTO now_used;
    IF NOT FOUND THEN
        SELECT receipt INTO known FROM usage_receipt_rows
        WHERE company_id = its_company AND idempotency_key = its_key;
        IF NOT FOUND THEN
            RAISE unique_violation USING MESSAGE = 'another operation has this receipt';
        END IF;
        RETURN;
    END IF;
    taken := parts;

    FOREACH place IN ARRAY lock_order LOOP
        CONTINUE WHEN units[place] = 0;
        UPDATE usage_quotas SET used = used + units[place], period_end = ends[place]
        WHERE company_id = its_company AND meter = meters[place] AND bucket = buckets[place]
            AND period_start = starts[place];
    END LOOP;
    FOREACH crossing IN ARRAY crossings LOOP
        place := alert_places[crossing];
        INSERT INTO usage_alerts (company_id, meter, bucket, period_start, percent, threshold, used, at)
        VALUES (
            its_company, meters[place], buckets[place], starts[place], alert_percents[crossing],
            alert_thresholds[crossing], held[place] + units[place], its_instant
        )
        ON CONFLICT DO NOTHING;
    END LOOP;
END
$$;

-- Gives a receipt back, once; answers with the receipt as it then is, or with nothing if there is none.
CREATE FUNCTION usage_refund(its_company text, its_receipt text, its_instant bigint) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    part record;
BEGIN
    INSERT INTO usage_refunds (company_id, receipt_id, at)
    SELECT company_id, receipt_id, its_instant FROM usage_receipts
    WHERE company_id = its_company AND receipt_id = its_receipt
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        FOR part IN
            SELECT value ->> 0 AS meter, value ->> 1 AS bucket, (value ->> 2)::bigint AS start,
                (value ->> 4)::bigint AS units
            FROM usage_receipts, json_array_elements(split) AS value
            WHERE company_id = its_company AND receipt_id = its_receipt
            ORDER BY (value ->> 0) COLLATE "C", (value ->> 1) COLLATE "C", (value ->> 2)::bigint
        LOOP
            UPDATE usage_quotas SET used = greatest(used - part.units, 0)
            WHERE company_id = its_company AND meter = part.meter AND bucket = part.bucket
                AND period_start = part.start;
        END LOOP;
    END IF;
    RETURN (SELECT receipt FROM usage_receipt_rows WHERE company_id = its_company AND receipt_id = its_receipt);
END
$$;
