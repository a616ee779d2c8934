-- What is held of gauges. As with usage, a company needs no row in `companies`.
CREATE TABLE usage_gauges (
    company_id TEXT COLLATE "C" NOT NULL,
    gauge TEXT COLLATE "C" NOT NULL,
    level BIGINT NOT NULL DEFAULT 0 CHECK (level >= 0),
    -- How many rows of `usage_gauge_holders` there are.
    holders BIGINT NOT NULL DEFAULT 0 CHECK (holders BETWEEN 0 AND 9223372036854775807 - level),
    PRIMARY KEY (company_id, gauge)
) WITH (fillfactor = 70);

CREATE TABLE usage_gauge_holders (
    company_id TEXT COLLATE "C" NOT NULL,
    gauge TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (company_id, gauge, holder),
    FOREIGN KEY (company_id, gauge) REFERENCES usage_gauges (company_id, gauge) ON DELETE CASCADE
);

-- Since when somebody holds a unit is history.
CREATE FUNCTION holder_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE '% is not rewritten', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER usage_gauge_holders_kept BEFORE UPDATE ON usage_gauge_holders
    FOR EACH STATEMENT EXECUTE FUNCTION holder_kept();

-- Gives a unit to a holder. It answers whether the holder has one now, whether it is new, and the units used.
--
-- Whoever changes what is held of a gauge locks its one row first and keeps it, so what was checked is still so when it is
-- changed. Who holds a unit is answered without a lock. A row that is missing is made first, since there is no lock on a
-- row that is not there; of a gauge without one nothing is used, and what cannot fit then makes none.
CREATE FUNCTION gauge_acquire(
    its_company text, its_gauge text, its_holder text, its_limit bigint, its_instant bigint,
    OUT is_held boolean, OUT is_new boolean, OUT now_used bigint
) LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    largest CONSTANT bigint := 9223372036854775807;
BEGIN
    is_new := FALSE;
    SELECT
        (SELECT level + holders FROM usage_gauges WHERE company_id = its_company AND gauge = its_gauge),
        EXISTS (
            SELECT FROM usage_gauge_holders
            WHERE company_id = its_company AND gauge = its_gauge AND holder = its_holder
        )
    INTO now_used, is_held;
    IF is_held OR coalesce(now_used, 0) >= coalesce(its_limit, largest) THEN
        RETURN;
    END IF;
    LOOP
        SELECT level + holders INTO now_used FROM usage_gauges
        WHERE company_id = its_company AND gauge = its_gauge
        FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO usage_gauges (company_id, gauge) VALUES (its_company, its_gauge) ON CONFLICT DO NOTHING;
    END LOOP;
    is_held := EXISTS (
        SELECT FROM usage_gauge_holders WHERE company_id = its_company AND gauge = its_gauge AND holder = its_holder
    );
    IF is_held OR now_used >= coalesce(its_limit, largest) THEN
        RETURN;
    END IF;
    INSERT INTO usage_gauge_holders (company_id, gauge, holder, since)
    VALUES (its_company, its_gauge, its_holder, its_instant);
    UPDATE usage_gauges SET holders = holders + 1 WHERE company_id = its_company AND gauge = its_gauge;
    is_held := TRUE;
    is_new := TRUE;
    now_used := now_used + 1;
END
$$;

-- Takes the unit of a holder back; whether it had one.
CREATE FUNCTION gauge_release(its_company text, its_gauge text, its_holder text) RETURNS boolean LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM FROM usage_gauges WHERE company_id = its_company AND gauge = its_gauge FOR UPDATE;
    DELETE FROM usage_gauge_holders WHERE company_id = its_company AND gauge = its_gauge AND holder = its_holder;
    IF NOT FOUND THEN
        RETURN FALSE;
    END IF;
    UPDATE usage_gauges SET holders = holders - 1 WHERE company_id = its_company AND gauge = its_gauge;
    RETURN TRUE;
END
$$;
