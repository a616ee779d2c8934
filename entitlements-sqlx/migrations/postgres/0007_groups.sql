-- Makes several debits that take from the same counters, one after the other; it answers for each as `usage_debit` does. Every
-- counter is locked once, read once and written once, whatever the number of debits. A key that another transaction takes at
-- the same time through other counters is an error, and then nothing has happened.
CREATE FUNCTION usage_debit_group(
    its_company text, keys text[], receipts text[], users text[], its_meter text, amounts bigint[], instants bigint[],
    its_limit bigint, its_reset bigint,
    meters text[], buckets text[], starts bigint[], ends bigint[], limits bigint[], numbers bigint[],
    alert_places bigint[], alert_percents bigint[], alert_thresholds bigint[]
) RETURNS TABLE (now_used bigint, taken text, known text) LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    largest CONSTANT bigint := 9223372036854775807;
    places CONSTANT integer := cardinality(meters);
    debits CONSTANT integer := cardinality(keys);
    latest bigint;
    before bigint[] := array_fill(0::bigint, ARRAY[places]);
    held bigint[];
    units bigint[];
    old_keys text[];
    useds bigint[] := array_fill(NULL::bigint, ARRAY[debits]);
    splits text[] := array_fill(NULL::text, ARRAY[debits]);
    crossings bigint[] := '{}';
    crossed_used bigint[] := '{}';
    crossed_at bigint[] := '{}';
    fits boolean;
    shown numeric;
    missing bigint;
    room bigint;
    first integer;
    past integer;
    place integer;
    parts text;
    crossed text;
BEGIN
    SELECT max(one.instant) INTO latest FROM unnest(instants) AS one (instant);
    IF EXISTS (
        SELECT FROM usage_reservations WHERE company_id = its_company AND NOT freed AND expires_at <= latest
    ) THEN
        PERFORM usage_free(its_company, latest, meters, buckets, starts, ends);
    ELSE
        PERFORM usage_lock(its_company, meters, buckets, starts, ends);
    END IF;
    FOR place IN 1..places LOOP
        SELECT quota.used INTO room FROM usage_quotas AS quota
        WHERE quota.company_id = its_company AND quota.meter = meters[place] AND quota.bucket = buckets[place]
            AND quota.period_start = starts[place];
        before[place] := coalesce(room, 0);
    END LOOP;
    held := before;
    SELECT coalesce(array_agg(old.idempotency_key), '{}') INTO old_keys FROM usage_receipts AS old
    WHERE old.company_id = its_company AND old.idempotency_key = ANY (keys);

    FOR debit IN 1..debits LOOP
        CONTINUE WHEN keys[debit] = ANY (old_keys);
        units := array_fill(0::bigint, ARRAY[places]);
        shown := 0;
        missing := amounts[debit];
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
            units[place] := amounts[debit];
        END LOOP;
        fits := missing = 0;
        FOR place IN 1..places LOOP
            fits := fits AND held[place] <= largest - units[place];
        END LOOP;
        CONTINUE WHEN NOT fits;

        parts := '';
        FOR place IN 1..places LOOP
            CONTINUE WHEN units[place] = 0;
            crossed := '';
            FOR crossing IN 1..cardinality(alert_places) LOOP
                IF alert_places[crossing] = place AND held[place] < alert_thresholds[crossing]
                    AND alert_thresholds[crossing] <= held[place] + units[place]
                THEN
                    crossed := concat(
                        crossed, ',[', alert_percents[crossing], ',', alert_thresholds[crossing], ']'
                    );
                    crossings := crossings || crossing::bigint;
                    crossed_used := crossed_used || (held[place] + units[place]);
                    crossed_at := crossed_at || instants[debit];
                END IF;
            END LOOP;
            held[place] := held[place] + units[place];
            parts := concat(parts, ',', json_build_array(
                meters[place], buckets[place], starts[place], ends[place], units[place], held[place],
                concat('[', substr(crossed, 2), ']')::json
            ));
        END LOOP;
        useds[debit] := least(shown, largest)::bigint;
        splits[debit] := concat('[', substr(parts, 2), ']');
    END LOOP;

    INSERT INTO usage_receipts (
        company_id, idempotency_key, receipt_id, user_id, meter, amount, at, quota_limit, resets_at, used, split
    )
    SELECT
        its_company, one.key_, one.receipt_, one.user_, its_meter, one.amount_, one.instant_, its_limit, its_reset,
        one.used_, one.split_::json
    FROM unnest(keys, receipts, users, amounts, instants, useds, splits)
        WITH ORDINALITY AS one (key_, receipt_, user_, amount_, instant_, used_, split_, number_)
    WHERE one.split_ IS NOT NULL
    ORDER BY one.number_;
    FOR place IN 1..places LOOP
        CONTINUE WHEN held[place] = before[place];
        UPDATE usage_quotas AS quota SET used = held[place], period_end = ends[place]
        WHERE quota.company_id = its_company AND quota.meter = meters[place] AND quota.bucket = buckets[place]
            AND quota.period_start = starts[place];
    END LOOP;
    FOR number IN 1..cardinality(crossings) LOOP
        place := alert_places[crossings[number]];
        INSERT INTO usage_alerts (company_id, meter, bucket, period_start, percent, threshold, used, at)
        VALUES (
            its_company, meters[place], buckets[place], starts[place], alert_percents[crossings[number]],
            alert_thresholds[crossings[number]], crossed_used[number], crossed_at[number]
        )
        ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN QUERY
    SELECT
        one.used_, one.split_,
        CASE WHEN one.key_ = ANY (old_keys) THEN (
            SELECT old.receipt FROM usage_receipt_rows AS old
            WHERE old.company_id = its_company AND old.idempotency_key = one.key_
        ) END
    FROM unnest(keys, useds, splits) WITH ORDINALITY AS one (key_, used_, split_, number_)
    ORDER BY one.number_;
END
$$;
