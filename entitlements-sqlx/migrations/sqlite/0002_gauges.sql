-- What is held of gauges. As with usage, a company needs no row in `companies`.
CREATE TABLE usage_gauges (
    company_id TEXT NOT NULL,
    gauge TEXT NOT NULL,
    level INTEGER NOT NULL DEFAULT 0 CHECK (level >= 0),
    -- How many rows of `usage_gauge_holders` there are.
    holders INTEGER NOT NULL DEFAULT 0 CHECK (holders BETWEEN 0 AND 9223372036854775807 - level),
    PRIMARY KEY (company_id, gauge)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_gauge_holders (
    company_id TEXT NOT NULL,
    gauge TEXT NOT NULL,
    holder TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (company_id, gauge, holder),
    FOREIGN KEY (company_id, gauge) REFERENCES usage_gauges (company_id, gauge) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- A holder counts in the statement that inserts it; before its row, so that the row can show the number.
CREATE TRIGGER usage_gauge_holders_counted BEFORE INSERT ON usage_gauge_holders
BEGIN
    INSERT INTO usage_gauges (company_id, gauge, holders) VALUES (NEW.company_id, NEW.gauge, 1)
        ON CONFLICT (company_id, gauge) DO UPDATE SET holders = holders + 1;
END;

CREATE TRIGGER usage_gauge_holders_uncounted AFTER DELETE ON usage_gauge_holders
BEGIN
    UPDATE usage_gauges SET holders = holders - 1 WHERE company_id = OLD.company_id AND gauge = OLD.gauge;
END;

-- Since when somebody holds a unit is history.
CREATE TRIGGER usage_gauge_holders_kept BEFORE UPDATE ON usage_gauge_holders
BEGIN
    SELECT raise(ABORT, 'usage_gauge_holders is not rewritten');
END;
