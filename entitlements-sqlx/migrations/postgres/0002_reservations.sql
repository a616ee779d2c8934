-- Units that are set aside. A reservation is a receipt with a row here; what it came to is a row of `usage_settlements`.
CREATE TABLE usage_reservations (
    company_id TEXT COLLATE "C" NOT NULL,
    receipt_id TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    -- Where it takes from, as its statement lists it: number of the bucket (null for a tally), 1 if the counter is shown,
    -- meter, bucket, first and last instant of the period, limit, thresholds.
    counters JSON NOT NULL,
    -- Whether the counters no longer hold its units: it was ended, or a write found that it has expired.
    freed BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (company_id, receipt_id),
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_receipts (company_id, receipt_id) ON DELETE CASCADE
);

-- Only those that the counters still hold: whoever looks for expired ones finds nothing where there is none.
CREATE INDEX usage_reservations_held ON usage_reservations (company_id, expires_at) WHERE NOT freed;

-- How reservations were ended. Append-only.
CREATE TABLE usage_settlements (
    company_id TEXT COLLATE "C" NOT NULL,
    receipt_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    -- Units that were used; null if it was released.
    actual BIGINT CHECK (actual >= 0),
    -- Units that were taken of them; with `used` and `split` they replace those of the receipt.
    amount BIGINT NOT NULL CHECK (amount BETWEEN 0 AND coalesce(actual, 0)),
    used BIGINT NOT NULL CHECK (used >= 0),
    split JSON NOT NULL,
    PRIMARY KEY (company_id, receipt_id),
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_reservations (company_id, receipt_id) ON DELETE CASCADE
);

-- Receipts as they are read; the last part says whether it is one: null, or for a reservation whether it was committed.
CREATE OR REPLACE VIEW usage_receipt_rows AS
SELECT
    receipt.company_id,
    receipt.idempotency_key,
    receipt.receipt_id,
    json_build_array(
        receipt.receipt_id, receipt.company_id, receipt.user_id, receipt.idempotency_key, receipt.meter,
        coalesce(settlement.amount, receipt.amount), coalesce(settlement.at, receipt.at),
        coalesce(settlement.split, receipt.split)::text, coalesce(settlement.used, receipt.used), receipt.quota_limit,
        receipt.resets_at, refund.at,
        CASE WHEN reservation.receipt_id IS NOT NULL THEN coalesce(settlement.amount, 0) > 0 END
    )::text AS receipt
FROM usage_receipts AS receipt
LEFT JOIN usage_refunds AS refund
    ON refund.company_id = receipt.company_id AND refund.receipt_id = receipt.receipt_id
LEFT JOIN usage_reservations AS reservation
    ON reservation.company_id = receipt.company_id AND reservation.receipt_id = receipt.receipt_id
LEFT JOIN usage_settlements AS settlement
    ON settlement.company_id = receipt.company_id AND settlement.receipt_id = receipt.receipt_id;

-- Reservations as they are read.
CREATE VIEW usage_reservation_rows AS
SELECT
    receipt.company_id,
    receipt.idempotency_key,
    receipt.receipt_id,
    json_build_array(
        receipt.receipt_id, receipt.company_id, receipt.user_id, receipt.idempotency_key, receipt.meter, receipt.amount,
        receipt.at, receipt.split::text, receipt.used, receipt.quota_limit, receipt.resets_at, reservation.expires_at,
        settlement.at, settlement.actual, settlement.amount, settlement.used, settlement.split::text, refund.at
    )::text AS reservation
FROM usage_reservations AS reservation
JOIN usage_receipts AS receipt
    ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id
LEFT JOIN usage_settlements AS settlement
    ON settlement.company_id = reservation.company_id AND settlement.receipt_id = reservation.receipt_id
LEFT JOIN usage_refunds AS refund
    ON refund.company_id = reservation.company_id AND refund.receipt_id = reservation.receipt_id;

-- Locks.
--
-- Everybody locks counters first, all that will be needed, in ascending order of meter, bucket and start, and keeps them;
-- a counter that is missing is made. Only who has locked all counters of a reservation frees or ends it. So nobody waits in
-- a circle, and what was read of a reservation under these locks is still so when it is changed.

CREATE FUNCTION usage_lock(its_company text, meters text[], buckets text[], starts bigint[], ends bigint[])
RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    counter record;
BEGIN
    FOR counter IN
        SELECT asked.meter, asked.bucket, asked.start, max(asked.end_) AS end_
        FROM unnest(meters, buckets, starts, ends) AS asked (meter, bucket, start, end_)
        GROUP BY 1, 2, 3
        ORDER BY asked.meter COLLATE "C", asked.bucket COLLATE "C", asked.start
    LOOP
        LOOP
            PERFORM FROM usage_quotas
            WHERE company_id = its_company AND meter = counter.meter AND bucket = counter.bucket
                AND period_start = counter.start
            FOR UPDATE;
            EXIT WHEN FOUND;
            INSERT INTO usage_quotas (company_id, meter, bucket, period_start, period_end, used)
            VALUES (its_company, counter.meter, counter.bucket, counter.start, counter.end_, 0)
            ON CONFLICT DO NOTHING;
        END LOOP;
    END LOOP;
END
$$;

-- Gives back what a receipt's split lists.
CREATE FUNCTION usage_give_back(its_company text, its_split json) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT value ->> 0 AS meter, value ->> 1 AS bucket, (value ->> 2)::bigint AS start,
            (value ->> 4)::bigint AS units
        FROM json_array_elements(its_split) AS value
        ORDER BY (value ->> 0) COLLATE "C", (value ->> 1) COLLATE "C", (value ->> 2)::bigint
    LOOP
        UPDATE usage_quotas SET used = greatest(used - part.units, 0)
        WHERE company_id = its_company AND meter = part.meter AND bucket = part.bucket AND period_start = part.start;
    END LOOP;
END
$$;

-- Frees what has expired, with all these counters locked as well. It answers with the instant, so that a statement can say
-- what has to happen after it.
CREATE FUNCTION usage_free(
    its_company text, its_instant bigint, meters text[], buckets text[], starts bigint[], ends bigint[]
) RETURNS bigint LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    expired text[];
    one record;
BEGIN
    SELECT
        array_agg(DISTINCT reservation.receipt_id),
        meters || array_agg(part ->> 0), buckets || array_agg(part ->> 1), starts || array_agg((part ->> 2)::bigint),
        ends || array_agg((part ->> 3)::bigint)
    INTO expired, meters, buckets, starts, ends
    FROM usage_reservations AS reservation
    JOIN usage_receipts AS receipt
        ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id
    CROSS JOIN json_array_elements(receipt.split) AS part
    WHERE reservation.company_id = its_company AND NOT reservation.freed AND reservation.expires_at <= its_instant;

    PERFORM usage_lock(its_company, meters, buckets, starts, ends);
    FOR one IN
        UPDATE usage_reservations AS reservation SET freed = TRUE
        FROM usage_receipts AS receipt
        WHERE reservation.company_id = its_company AND reservation.receipt_id = ANY (expired)
            AND NOT reservation.freed
            AND receipt.company_id = its_company AND receipt.receipt_id = reservation.receipt_id
        RETURNING receipt.split
    LOOP
        PERFORM usage_give_back(its_company, one.split);
    END LOOP;
    RETURN its_instant;
END
$$;

-- Sets units aside. It answers as `usage_debit` does; `reserved` is the reservation of the key, if it is one.
CREATE FUNCTION usage_reserve(
    its_company text, its_key text, its_receipt text, its_user text, its_meter text, its_amount bigint,
    its_instant bigint, its_limit bigint, its_reset bigint,
    meters text[], buckets text[], starts bigint[], ends bigint[], limits bigint[], numbers bigint[],
    lock_order bigint[], alert_places bigint[], alert_percents bigint[], alert_thresholds bigint[],
    its_expiry bigint, its_counters text,
    OUT now_used bigint, OUT taken text, OUT known text, OUT reserved text
) LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    SELECT debit.now_used, debit.taken, debit.known INTO now_used, taken, known
    FROM usage_debit(
        its_company, its_key, its_receipt, its_user, its_meter, its_amount, its_instant, its_limit, its_reset,
        meters, buckets, starts, ends, limits, numbers, lock_order, alert_places, alert_percents, alert_thresholds
    ) AS debit;
    IF taken IS NOT NULL THEN
        INSERT INTO usage_reservations (company_id, receipt_id, expires_at, counters)
        VALUES (its_company, its_receipt, its_expiry, its_counters::json);
    ELSIF known IS NOT NULL THEN
        SELECT reservation INTO reserved FROM usage_reservation_rows
        WHERE company_id = its_company AND idempotency_key = its_key;
    END IF;
END
$$;

-- Ends a reservation of which so many units were used, or with null of which none were. It answers whether it did, and with
-- the reservation as it then is, or nothing if there is none.
CREATE FUNCTION usage_settle(
    its_company text, its_receipt text, its_actual bigint, its_instant bigint,
    OUT is_new boolean, OUT reserved text
) LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    largest CONSTANT bigint := 9223372036854775807;
    counters json;
    own_split json;
    is_freed boolean;
    places integer;
    -- By place: the number of the bucket, whether it is shown, the counter, the limit, and the thresholds.
    numbers bigint[];
    shows text[];
    meters text[];
    buckets text[];
    starts bigint[];
    ends bigint[];
    limits bigint[];
    alerts json[];
    -- What each counter holds, what of it is the reservation's, and what it receives.
    held bigint[];
    own bigint[];
    units bigint[];
    missing bigint := its_actual;
    collected bigint := 0;
    shown numeric := 0;
    room bigint;
    first integer;
    past integer;
    parts json := '[]';
BEGIN
    is_new := FALSE;
    SELECT reservation.counters, receipt.split INTO counters, own_split
    FROM usage_reservations AS reservation
    JOIN usage_receipts AS receipt
        ON receipt.company_id = reservation.company_id AND receipt.receipt_id = reservation.receipt_id
    WHERE reservation.company_id = its_company AND reservation.receipt_id = its_receipt;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM usage_settlements WHERE company_id = its_company AND receipt_id = its_receipt) THEN
        SELECT
            array_agg((value ->> 0)::bigint ORDER BY place), array_agg(value ->> 1 ORDER BY place),
            array_agg(value ->> 2 ORDER BY place), array_agg(value ->> 3 ORDER BY place),
            array_agg((value ->> 4)::bigint ORDER BY place), array_agg((value ->> 5)::bigint ORDER BY place),
            array_agg((value ->> 6)::bigint ORDER BY place), array_agg(value -> 7 ORDER BY place)
        INTO numbers, shows, meters, buckets, starts, ends, limits, alerts
        FROM json_array_elements(counters) WITH ORDINALITY AS asked (value, place);
        PERFORM usage_free(its_company, its_instant, meters, buckets, starts, ends);
        -- From here on nobody else can end it.
        is_new := NOT EXISTS (
            SELECT FROM usage_settlements WHERE company_id = its_company AND receipt_id = its_receipt
        );
    END IF;

    IF is_new AND its_actual IS NOT NULL THEN
        SELECT freed INTO is_freed FROM usage_reservations
        WHERE company_id = its_company AND receipt_id = its_receipt;
        places := cardinality(meters);
        SELECT
            array_agg(quota.used ORDER BY asked.place),
            array_agg(CASE WHEN is_freed THEN 0 ELSE coalesce(part.units, 0) END ORDER BY asked.place)
        INTO held, own
        FROM unnest(meters, buckets, starts) WITH ORDINALITY AS asked (meter, bucket, start, place)
        JOIN usage_quotas AS quota
            ON quota.company_id = its_company AND quota.meter = asked.meter AND quota.bucket = asked.bucket
            AND quota.period_start = asked.start
        LEFT JOIN (
            SELECT value ->> 0 AS meter, value ->> 1 AS bucket, (value ->> 2)::bigint AS start,
                (value ->> 4)::bigint AS units
            FROM json_array_elements(own_split) AS value
        ) AS part ON part.meter = asked.meter AND part.bucket = asked.bucket AND part.start = asked.start;
        units := array_fill(0::bigint, ARRAY[places]);

        -- Tallies have no limit, but there is one to every number.
        FOR place IN 1..places LOOP
            IF numbers[place] IS NULL THEN
                missing := least(missing, largest - (held[place] - own[place]));
            END IF;
        END LOOP;
        -- One bucket after the other keeps what it can of what was used.
        FOR place IN 1..places LOOP
            CONTINUE WHEN numbers[place] IS NULL OR shows[place] <> '1';
            room := least(own[place], missing);
            missing := missing - room;
            FOR other IN 1..places LOOP
                IF numbers[other] = numbers[place] THEN
                    units[other] := room;
                END IF;
            END LOOP;
        END LOOP;
        -- One bucket after the other gives what its shortest counter has room for, until nothing is missing.
        first := 1;
        WHILE numbers[first] IS NOT NULL LOOP
            room := missing;
            past := first;
            WHILE numbers[past] = numbers[first] LOOP
                room := least(room, greatest(
                    coalesce(limits[past], largest) - (held[past] - own[past]) - units[past], 0
                ));
                past := past + 1;
            END LOOP;
            missing := missing - room;
            FOR place IN first..past - 1 LOOP
                units[place] := units[place] + room;
            END LOOP;
            collected := collected + units[first];
            shown := shown + held[first] - own[first] + units[first];
            first := past;
        END LOOP;
        FOR place IN first..places LOOP
            units[place] := collected;
        END LOOP;

        SELECT coalesce(json_agg(json_build_array(
            meters[place], buckets[place], starts[place], ends[place], units[place],
            held[place] - own[place] + units[place],
            (
                SELECT coalesce(json_agg(threshold ORDER BY number), '[]')
                FROM json_array_elements(alerts[place]) WITH ORDINALITY AS alert (threshold, number)
                WHERE held[place] < (threshold ->> 1)::bigint
                    AND (threshold ->> 1)::bigint <= held[place] - own[place] + units[place]
            )
        ) ORDER BY place), '[]') INTO parts
        FROM generate_series(1, places) AS place
        WHERE units[place] > 0;
    END IF;

    IF is_new THEN
        UPDATE usage_reservations SET freed = TRUE
        WHERE company_id = its_company AND receipt_id = its_receipt AND NOT freed;
        IF FOUND THEN
            PERFORM usage_give_back(its_company, own_split);
        END IF;
        FOR place IN 1..coalesce(places, 0) LOOP
            CONTINUE WHEN units[place] = 0;
            UPDATE usage_quotas SET used = used + units[place]
            WHERE company_id = its_company AND meter = meters[place] AND bucket = buckets[place]
                AND period_start = starts[place];
        END LOOP;
        INSERT INTO usage_settlements (company_id, receipt_id, at, actual, amount, used, split)
        VALUES (
            its_company, its_receipt, its_instant, its_actual, collected, least(shown, largest)::bigint, parts
        );
        INSERT INTO usage_alerts (company_id, meter, bucket, period_start, percent, threshold, used, at)
        SELECT
            its_company, part ->> 0, part ->> 1, (part ->> 2)::bigint, (crossed ->> 0)::bigint,
            (crossed ->> 1)::bigint, (part ->> 5)::bigint, its_instant
        FROM json_array_elements(parts) WITH ORDINALITY AS element (part, place),
            json_array_elements(part -> 6) WITH ORDINALITY AS alert (crossed, number)
        ORDER BY place, number
        ON CONFLICT DO NOTHING;
    END IF;
    SELECT reservation INTO reserved FROM usage_reservation_rows
    WHERE company_id = its_company AND receipt_id = its_receipt;
END
$$;

-- Gives a receipt back, once; answers with the receipt as it then is, or with nothing if there is none. That of a
-- reservation is there when it was committed, and lists what the commit took.
CREATE OR REPLACE FUNCTION usage_refund(its_company text, its_receipt text, its_instant bigint)
RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    taken json;
BEGIN
    SELECT CASE WHEN reservation.receipt_id IS NULL THEN receipt.split ELSE settlement.split END INTO taken
    FROM usage_receipts AS receipt
    LEFT JOIN usage_reservations AS reservation
        ON reservation.company_id = receipt.company_id AND reservation.receipt_id = receipt.receipt_id
    LEFT JOIN usage_settlements AS settlement
        ON settlement.company_id = receipt.company_id AND settlement.receipt_id = receipt.receipt_id
        AND settlement.amount > 0
    WHERE receipt.company_id = its_company AND receipt.receipt_id = its_receipt;
    IF taken IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO usage_refunds (company_id, receipt_id, at) VALUES (its_company, its_receipt, its_instant)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM usage_give_back(its_company, taken);
    END IF;
    RETURN (SELECT receipt FROM usage_receipt_rows WHERE company_id = its_company AND receipt_id = its_receipt);
END
$$;

CREATE FUNCTION reservation_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE '% are only freed', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER usage_reservations_kept BEFORE UPDATE ON usage_reservations
    FOR EACH ROW WHEN (
        NOT (
            OLD.company_id = NEW.company_id AND OLD.receipt_id = NEW.receipt_id AND OLD.expires_at = NEW.expires_at
            AND OLD.counters::text = NEW.counters::text AND NOT OLD.freed AND NEW.freed
        )
    ) EXECUTE FUNCTION reservation_kept();
CREATE TRIGGER usage_settlements_kept BEFORE UPDATE ON usage_settlements
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
