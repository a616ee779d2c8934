-- Facts about companies, policies, and usage.
--
-- Instants are microseconds since 1970 in UTC. Amounts are whole units, 0 to 2^63 - 1. Texts compare by their bytes. Functions
-- keep the search path of the schema they were made in, so that they find these tables whoever calls them.

-- The one sequence that revisions come out of, and the last one that a policy took.
CREATE TABLE revision_sequence (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL CHECK (value >= 0),
    policies BIGINT NOT NULL CHECK (policies BETWEEN 0 AND value)
);

INSERT INTO revision_sequence (id, value, policies) VALUES (1, 0, 0);

-- Companies that were written to, with the revision of the last write.
CREATE TABLE companies (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL CHECK (revision > 0)
);

CREATE TABLE billing_subscriptions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    plan TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    seats BIGINT CHECK (seats >= 0),
    started_at BIGINT NOT NULL,
    anchor BIGINT NOT NULL,
    current_period_start BIGINT NOT NULL,
    current_period_end BIGINT NOT NULL,
    trial_end BIGINT,
    past_due_since BIGINT,
    cancel_at BIGINT,
    cancel_at_period_end BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE INDEX billing_subscriptions_by_company ON billing_subscriptions (company_id);

-- Every state that a subscription has had. Append-only.
CREATE TABLE billing_subscription_history (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id TEXT COLLATE "C" NOT NULL REFERENCES billing_subscriptions (id) ON DELETE CASCADE,
    stored_at BIGINT NOT NULL,
    company_id TEXT COLLATE "C" NOT NULL,
    plan TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    seats BIGINT,
    started_at BIGINT NOT NULL,
    anchor BIGINT NOT NULL,
    current_period_start BIGINT NOT NULL,
    current_period_end BIGINT NOT NULL,
    trial_end BIGINT,
    past_due_since BIGINT,
    cancel_at BIGINT,
    cancel_at_period_end BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX billing_subscription_history_by_subscription
    ON billing_subscription_history (subscription_id, sequence);

-- When a subscription changed plans. Append-only.
CREATE TABLE billing_plan_changes (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL,
    subscription_id TEXT COLLATE "C" NOT NULL REFERENCES billing_subscriptions (id) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    from_plan TEXT COLLATE "C" NOT NULL
);

CREATE INDEX billing_plan_changes_by_company ON billing_plan_changes (company_id, at, sequence);
CREATE INDEX billing_plan_changes_by_subscription ON billing_plan_changes (subscription_id);

CREATE TABLE company_addons (
    company_id TEXT COLLATE "C" NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    addon TEXT COLLATE "C" NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity BETWEEN 0 AND 4294967295),
    revision BIGINT NOT NULL,
    PRIMARY KEY (company_id, addon)
);

CREATE TABLE company_overrides (
    company_id TEXT COLLATE "C" NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    feature TEXT COLLATE "C" NOT NULL,
    value TEXT NOT NULL CHECK (value::json IS NOT NULL),
    revision BIGINT NOT NULL,
    PRIMARY KEY (company_id, feature)
);

CREATE TABLE entitlement_grants (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    company_id TEXT COLLATE "C" NOT NULL REFERENCES companies (id) DEFERRABLE INITIALLY DEFERRED,
    user_id TEXT COLLATE "C",
    feature TEXT COLLATE "C" NOT NULL,
    actions TEXT NOT NULL CHECK (actions::json IS NOT NULL),
    resource TEXT COLLATE "C",
    amount BIGINT CHECK (amount >= 0),
    kind TEXT COLLATE "C" NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT,
    reason TEXT,
    created_at BIGINT NOT NULL,
    voided_at BIGINT,
    revision BIGINT NOT NULL
);

CREATE INDEX entitlement_grants_by_creation ON entitlement_grants (company_id, created_at, id);
CREATE INDEX entitlement_grants_open
    ON entitlement_grants (company_id, (coalesce(ends_at, 9223372036854775807))) WHERE voided_at IS NULL;

CREATE TABLE entitlement_policies (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT,
    priority BIGINT NOT NULL,
    effect TEXT COLLATE "C" NOT NULL,
    guardrail BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    starts_at BIGINT,
    ends_at BIGINT,
    target TEXT NOT NULL CHECK (target::json IS NOT NULL),
    -- JSON, or what somebody wrote here: a condition that cannot be read breaks its policy alone.
    condition TEXT,
    revision BIGINT NOT NULL
);

-- Counters of usage. A company needs no row in `companies` to use something. Pages keep room for the next versions of their
-- rows, so that an update need not touch an index.
CREATE TABLE usage_quotas (
    company_id TEXT COLLATE "C" NOT NULL,
    meter TEXT COLLATE "C" NOT NULL,
    bucket TEXT COLLATE "C" NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT,
    used BIGINT NOT NULL CHECK (used >= 0),
    PRIMARY KEY (company_id, meter, bucket, period_start)
) WITH (fillfactor = 70);

CREATE INDEX usage_quotas_by_end ON usage_quotas (company_id, (coalesce(period_end, 9223372036854775807)));

-- Every debit that was made. Append-only; a refund is a row of its own.
-- `split` lists, for each counter that received units: meter, bucket, first and last instant of the period, units, units
-- of the counter afterwards, and the thresholds [percent, units] that it crossed.
CREATE TABLE usage_receipts (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY,
    company_id TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    receipt_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    meter TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    at BIGINT NOT NULL,
    quota_limit BIGINT CHECK (quota_limit >= 0),
    resets_at BIGINT,
    used BIGINT NOT NULL CHECK (used >= 0),
    split JSON NOT NULL,
    PRIMARY KEY (company_id, idempotency_key),
    UNIQUE (company_id, receipt_id)
);

-- Receipts that were given back. Append-only.
CREATE TABLE usage_refunds (
    company_id TEXT COLLATE "C" NOT NULL,
    receipt_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (company_id, receipt_id),
    FOREIGN KEY (company_id, receipt_id) REFERENCES usage_receipts (company_id, receipt_id) ON DELETE CASCADE
);

-- Receipts as they are read.
CREATE VIEW usage_receipt_rows AS
SELECT
    receipt.company_id,
    receipt.idempotency_key,
    receipt.receipt_id,
    json_build_array(
        receipt.receipt_id, receipt.company_id, receipt.user_id, receipt.idempotency_key, receipt.meter, receipt.amount,
        receipt.at, receipt.split::text, receipt.used, receipt.quota_limit, receipt.resets_at, refund.at
    )::text AS receipt
FROM usage_receipts AS receipt
LEFT JOIN usage_refunds AS refund
    ON refund.company_id = receipt.company_id AND refund.receipt_id = receipt.receipt_id;

-- Alerts that were raised: an outbox, and the memory that a threshold was crossed before.
CREATE TABLE usage_alerts (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY,
    company_id TEXT COLLATE "C" NOT NULL,
    meter TEXT COLLATE "C" NOT NULL,
    bucket TEXT COLLATE "C" NOT NULL,
    period_start BIGINT NOT NULL,
    percent BIGINT NOT NULL,
    threshold BIGINT NOT NULL,
    used BIGINT NOT NULL,
    at BIGINT NOT NULL,
    acknowledged BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (company_id, meter, bucket, period_start, percent, threshold)
);

CREATE INDEX usage_alerts_pending ON usage_alerts (sequence) WHERE NOT acknowledged;

-- Revisions.
--
-- Every statement that changes what a company may do, or a policy, first locks the one row of `revision_sequence`, before it
-- looks for the rows to change, and keeps it until its transaction ends. So:
--
-- * Such writes follow one another, and numbers are taken in the order of the commits. Who sees revision n sees every write
--   up to n: a transaction takes n only after those before it are over. A load is one statement with one view, so its
--   facts and its two revisions agree, and the larger of the two is a revision up to which nothing is missing.
-- * They cannot deadlock: nobody who waits for this lock holds another.
-- * A statement that changes nothing takes no number. (Numbers are written after the row, when it is certain.)
--
-- The statements bring a number of their own, but it may be old: they read it before they waited. The trigger replaces it.
-- Usage takes no revision, and never waits here.

CREATE FUNCTION revision_lock() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM revision_sequence WHERE id = 1 FOR UPDATE;
    RETURN NULL;
END
$$;

CREATE FUNCTION revision_next() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    SELECT value + 1 INTO STRICT NEW.revision FROM revision_sequence WHERE id = 1;
    RETURN NEW;
END
$$;

-- The number that this transaction took last.
CREATE FUNCTION revision_taken() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RETURN (SELECT value FROM revision_sequence WHERE id = 1);
END
$$;

CREATE FUNCTION company_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision_sequence SET value = NEW.revision WHERE id = 1;
    INSERT INTO companies (id, revision) VALUES (NEW.company_id, NEW.revision)
        ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
    RETURN NULL;
END
$$;

CREATE FUNCTION company_lost() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision_sequence SET value = value + 1 WHERE id = 1;
    UPDATE companies SET revision = revision_taken() WHERE id = OLD.company_id;
    RETURN OLD;
END
$$;

CREATE FUNCTION policies_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision_sequence SET value = NEW.revision, policies = NEW.revision WHERE id = 1;
    RETURN NULL;
END
$$;

CREATE FUNCTION policies_lost() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision_sequence SET value = value + 1, policies = value + 1 WHERE id = 1;
    RETURN OLD;
END
$$;

CREATE TRIGGER billing_subscriptions_locked BEFORE INSERT OR UPDATE OR DELETE ON billing_subscriptions
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER billing_subscriptions_numbered BEFORE INSERT OR UPDATE ON billing_subscriptions
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER billing_subscriptions_changed AFTER INSERT OR UPDATE ON billing_subscriptions
    FOR EACH ROW EXECUTE FUNCTION company_changed();

CREATE TRIGGER company_addons_locked BEFORE INSERT OR UPDATE OR DELETE ON company_addons
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER company_addons_numbered BEFORE INSERT OR UPDATE ON company_addons
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER company_addons_changed AFTER INSERT OR UPDATE ON company_addons
    FOR EACH ROW EXECUTE FUNCTION company_changed();

CREATE TRIGGER company_overrides_locked BEFORE INSERT OR UPDATE OR DELETE ON company_overrides
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER company_overrides_numbered BEFORE INSERT OR UPDATE ON company_overrides
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER company_overrides_changed AFTER INSERT OR UPDATE ON company_overrides
    FOR EACH ROW EXECUTE FUNCTION company_changed();
CREATE TRIGGER company_overrides_removed BEFORE DELETE ON company_overrides
    FOR EACH ROW EXECUTE FUNCTION company_lost();

CREATE TRIGGER entitlement_grants_locked BEFORE INSERT OR UPDATE OR DELETE ON entitlement_grants
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER entitlement_grants_numbered BEFORE INSERT OR UPDATE ON entitlement_grants
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER entitlement_grants_changed AFTER INSERT OR UPDATE ON entitlement_grants
    FOR EACH ROW EXECUTE FUNCTION company_changed();

CREATE TRIGGER entitlement_policies_locked BEFORE INSERT OR UPDATE OR DELETE ON entitlement_policies
    FOR EACH STATEMENT EXECUTE FUNCTION revision_lock();
CREATE TRIGGER entitlement_policies_numbered BEFORE INSERT OR UPDATE ON entitlement_policies
    FOR EACH ROW EXECUTE FUNCTION revision_next();
CREATE TRIGGER entitlement_policies_changed AFTER INSERT OR UPDATE ON entitlement_policies
    FOR EACH ROW EXECUTE FUNCTION policies_changed();
CREATE TRIGGER entitlement_policies_removed BEFORE DELETE ON entitlement_policies
    FOR EACH ROW EXECUTE FUNCTION policies_lost();

-- A subscription keeps its history in the statement that changes it.

CREATE FUNCTION subscription_remembered() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO billing_subscription_history (
        subscription_id, stored_at, company_id, plan, status, seats, started_at, anchor, current_period_start,
        current_period_end, trial_end, past_due_since, cancel_at, cancel_at_period_end, created_at
    ) VALUES (
        NEW.id, NEW.stored_at, NEW.company_id, NEW.plan, NEW.status, NEW.seats, NEW.started_at, NEW.anchor,
        NEW.current_period_start, NEW.current_period_end, NEW.trial_end, NEW.past_due_since, NEW.cancel_at,
        NEW.cancel_at_period_end, NEW.created_at
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION plan_change_remembered() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO billing_plan_changes (company_id, subscription_id, at, from_plan)
    VALUES (NEW.company_id, NEW.id, NEW.stored_at, OLD.plan);
    RETURN NULL;
END
$$;

CREATE TRIGGER billing_subscriptions_remembered AFTER INSERT OR UPDATE ON billing_subscriptions
    FOR EACH ROW EXECUTE FUNCTION subscription_remembered();
CREATE TRIGGER billing_subscriptions_plan_changed AFTER UPDATE ON billing_subscriptions
    FOR EACH ROW WHEN (OLD.plan <> NEW.plan) EXECUTE FUNCTION plan_change_remembered();

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

-- History is not rewritten.

CREATE FUNCTION history_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE '% is append-only', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER billing_plan_changes_kept BEFORE UPDATE ON billing_plan_changes
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
CREATE TRIGGER billing_subscription_history_kept BEFORE UPDATE ON billing_subscription_history
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
CREATE TRIGGER usage_receipts_kept BEFORE UPDATE ON usage_receipts
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
CREATE TRIGGER usage_refunds_kept BEFORE UPDATE ON usage_refunds
    FOR EACH STATEMENT EXECUTE FUNCTION history_kept();
