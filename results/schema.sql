-- Tables of the results database. Times are UTC, ISO 8601 with milliseconds. JSON columns hold the structs of
-- common/ (job_config.h, attempt.h).

-- Which database this is, and which file it was when a coordinator last opened it: one row, written by the first
-- coordinator. A file that is found at another place is a copy and gets an id of its own.
CREATE TABLE database_identity (
    only_row      INTEGER PRIMARY KEY CHECK (only_row = 1),
    id            TEXT NOT NULL,               -- 128 random bits, hexadecimal
    created_at    TEXT NOT NULL,
    copied_from   TEXT NOT NULL DEFAULT '',    -- id of the database that this one is a copy of
    host          TEXT NOT NULL,               -- where it was opened
    path          TEXT NOT NULL,               -- of the file, absolute, without symbolic links
    device        INTEGER NOT NULL,            -- st_dev and st_ino of the file, on that host
    inode         INTEGER NOT NULL
);

-- The coordinator that has the database: one row, none while no coordinator has it.
CREATE TABLE database_owner (
    only_row      INTEGER PRIMARY KEY CHECK (only_row = 1),
    token         TEXT NOT NULL,               -- random, of this start of the coordinator
    host          TEXT NOT NULL,
    process_id    INTEGER NOT NULL,
    started_at    TEXT NOT NULL,
    heartbeat_at  TEXT NOT NULL                -- renewed every few seconds
);

CREATE TABLE studies (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    file          TEXT NOT NULL,               -- absolute path it was read from
    toml          TEXT NOT NULL,               -- its text
    state         TEXT NOT NULL CHECK (state IN ('running', 'finished', 'failed', 'interrupted', 'cancelled')),
    paused        INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),  -- 1: nothing new of it begins
    save_models   TEXT NOT NULL DEFAULT 'all' CHECK (save_models IN ('none', 'best', 'all')),  -- whose models are kept
    best_models   INTEGER NOT NULL DEFAULT 0,  -- with 'best': variants of a stage besides its baseline
    created_at    TEXT NOT NULL,
    finished_at   TEXT
);

CREATE TABLE stages (
    id              INTEGER PRIMARY KEY,
    study_id        INTEGER NOT NULL REFERENCES studies (id),
    position        INTEGER NOT NULL,          -- order in the study
    name            TEXT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('search', 'ablation')),
    select_by       TEXT NOT NULL,             -- metric that the best of this stage's variants are selected by
    select_part     TEXT NOT NULL DEFAULT 'validation' CHECK (select_part IN ('validation', 'test')),
    primary_metric  TEXT NOT NULL DEFAULT 'macro_f1',  -- whose difference to the baseline its table shows
    statistics      TEXT NOT NULL DEFAULT '{}',  -- JSON: how the stage's differences are tested
    UNIQUE (study_id, name)
);

-- One row of a comparison table: a full configuration without its seeds.
CREATE TABLE variants (
    id            INTEGER PRIMARY KEY,
    stage_id      INTEGER NOT NULL REFERENCES stages (id),
    position      INTEGER NOT NULL,            -- order in the stage's table
    name          TEXT NOT NULL,
    change        TEXT NOT NULL,               -- what differs from the baseline
    is_baseline   INTEGER NOT NULL CHECK (is_baseline IN (0, 1)),
    config        TEXT NOT NULL,               -- JSON (JobConfig without its seeds)
    hidden        INTEGER NOT NULL DEFAULT 0,  -- 1: no longer in the study's file; kept, not shown
    is_ensemble   INTEGER NOT NULL DEFAULT 0 CHECK (is_ensemble IN (0, 1)),  -- its jobs are computed from others
    UNIQUE (stage_id, name)
);
CREATE INDEX variants_by_stage ON variants (stage_id, is_baseline, hidden, position);

-- One training to be done. Jobs are shared: two variants, of one study or of two, that would compute the same
-- numbers have the same identity and so the same job.
CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY,
    identity      TEXT NOT NULL UNIQUE,        -- SHA-256 of the canonical configuration
    config        TEXT NOT NULL,               -- JSON (JobConfig)
    paths         TEXT NOT NULL,               -- JSON (JobPaths): no part of the identity
    ranks         INTEGER NOT NULL,
    resources     TEXT NOT NULL,               -- JSON (JobResources): no part of the identity
    state         TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'succeeded', 'failed', 'cancelled', 'paused',
                                                  'quarantined')),
    failures      INTEGER NOT NULL DEFAULT 0,  -- attempts that count against the limit
    cancelled_by_user INTEGER NOT NULL DEFAULT 0,  -- 1: cancelled by a command; 0: if cancelled, as no study names it
    created_at    TEXT NOT NULL,
    finished_at   TEXT
);
CREATE INDEX jobs_by_state ON jobs (state);

CREATE TABLE variant_jobs (
    variant_id           INTEGER NOT NULL REFERENCES variants (id),
    job_id               INTEGER NOT NULL REFERENCES jobs (id),
    seed_index           INTEGER NOT NULL,     -- 0-based; equal indices of two variants are paired
    initialization_seed  INTEGER NOT NULL,
    data_order_seed      INTEGER NOT NULL,
    PRIMARY KEY (variant_id, seed_index)
) WITHOUT ROWID;
CREATE INDEX variant_jobs_by_job ON variant_jobs (job_id);

-- One execution of a job by one worker. The number fences: only the newest attempt of a job may write.
CREATE TABLE attempts (
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    number        INTEGER NOT NULL,            -- 1, 2, ...
    worker        TEXT NOT NULL,
    host          TEXT NOT NULL,
    device_class  TEXT NOT NULL,
    ranks         INTEGER NOT NULL,
    started_at    TEXT NOT NULL,
    ended_at      TEXT,
    seconds       REAL,                        -- it ran, by a clock that only runs forward; NULL: unknown
    cause         TEXT CHECK (cause IN ('succeeded', 'preempted', 'walltime', 'out_of_memory', 'diverged', 'user_error',
                                        'node_lost', 'worker_crashed', 'cancelled', 'paused')),
    message       TEXT NOT NULL DEFAULT '',
    log_file      TEXT NOT NULL DEFAULT '',
    resumed_attempt INTEGER,                   -- whose checkpoint it went on from; NULL: from the first step
    resumed_step  INTEGER,
    provenance    TEXT NOT NULL DEFAULT '{}',  -- JSON: what it ran with: program, libraries, machine
    PRIMARY KEY (job_id, number)
) WITHOUT ROWID;

-- What an unfinished job goes on from: the newest two. Files DATABASE.d/checkpoints/job-JOB/attempt-ATTEMPT/FILE.
CREATE TABLE checkpoints (
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    attempt       INTEGER NOT NULL,
    step          INTEGER NOT NULL,            -- optimiser steps done
    file          TEXT NOT NULL,
    sha256        TEXT NOT NULL,               -- of all but the file's last 64 bytes, where it stands too
    bytes         INTEGER NOT NULL,
    written_at    TEXT NOT NULL,
    PRIMARY KEY (job_id, attempt, step)
) WITHOUT ROWID;

-- What is known of each epoch but its metrics; those after the step that a later attempt resumes from are replaced by its own.
-- Commands report metrics alone.
CREATE TABLE epochs (
    job_id               INTEGER NOT NULL REFERENCES jobs (id),
    epoch                INTEGER NOT NULL,     -- 1-based
    attempt              INTEGER NOT NULL,
    train_loss           REAL,
    learning_rate        REAL,
    seconds              REAL,
    tokens_per_second    REAL,
    PRIMARY KEY (job_id, epoch)
) WITHOUT ROWID;

-- Metrics after each epoch, of jobs of both kinds.
CREATE TABLE epoch_metrics (
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    epoch         INTEGER NOT NULL,            -- 1-based
    part          TEXT NOT NULL CHECK (part IN ('validation', 'test')),
    name          TEXT NOT NULL,
    value         REAL NOT NULL,
    PRIMARY KEY (job_id, epoch, part, name)
) WITHOUT ROWID;

CREATE TABLE results (
    job_id             INTEGER PRIMARY KEY REFERENCES jobs (id),
    attempt            INTEGER NOT NULL,
    selected_epoch     INTEGER NOT NULL,
    parameters         INTEGER NOT NULL,
    train_seconds      REAL NOT NULL,
    total_seconds      REAL NOT NULL,
    peak_memory_bytes  INTEGER NOT NULL,
    device_class       TEXT NOT NULL,
    ranks              INTEGER NOT NULL,
    collapsed          INTEGER NOT NULL CHECK (collapsed IN (0, 1)),
    data_sha256        TEXT NOT NULL,
    data_report        TEXT NOT NULL,          -- JSON (DataReport)
    classes            TEXT NOT NULL,          -- JSON array of names, in order of their index
    validation_rows    INTEGER,                -- NULL: of a command
    test_rows          INTEGER
);

-- Metrics of succeeded jobs of both kinds; of a training: at the selected epoch's weights.
CREATE TABLE job_metrics (
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    part          TEXT NOT NULL CHECK (part IN ('validation', 'test')),
    name          TEXT NOT NULL,
    value         REAL NOT NULL,
    PRIMARY KEY (job_id, part, name)
) WITHOUT ROWID;

CREATE TABLE class_metrics (
    job_id     INTEGER NOT NULL REFERENCES jobs (id),
    class      INTEGER NOT NULL,               -- index into results.classes
    name       TEXT NOT NULL,
    precision  REAL NOT NULL,
    recall     REAL NOT NULL,
    f1         REAL NOT NULL,
    support    INTEGER NOT NULL,
    PRIMARY KEY (job_id, class)
) WITHOUT ROWID;

CREATE TABLE confusion (
    job_id           INTEGER NOT NULL REFERENCES jobs (id),
    true_class       INTEGER NOT NULL,
    predicted_class  INTEGER NOT NULL,
    count            INTEGER NOT NULL,
    PRIMARY KEY (job_id, true_class, predicted_class)
) WITHOUT ROWID;

-- Test predictions of the selected epoch's weights.
CREATE TABLE predictions (
    job_id           INTEGER NOT NULL REFERENCES jobs (id),
    line             INTEGER NOT NULL,         -- 1-based line in the data file
    true_class       INTEGER NOT NULL,
    predicted_class  INTEGER NOT NULL,
    probability      REAL NOT NULL,            -- of the predicted class; of a vote: its share of the votes
    PRIMARY KEY (job_id, line)
) WITHOUT ROWID;

-- Probabilities of all classes on the test part, so that ensembles need no training: 16-bit integers of 65535ths, a row
-- of the test part after the other (ascending line), all high bytes before all low ones, compressed by zlib.
CREATE TABLE probabilities (
    job_id   INTEGER PRIMARY KEY REFERENCES jobs (id),
    rows     INTEGER NOT NULL,
    classes  INTEGER NOT NULL,
    data     BLOB NOT NULL
);

-- The job of an ensemble is no training: its result is computed from those of its members.
CREATE TABLE ensemble_members (
    job_id     INTEGER NOT NULL REFERENCES jobs (id),
    member_id  INTEGER NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (job_id, member_id)
) WITHOUT ROWID;

-- Trained models that were saved (study.save_models): folders that Hugging Face's transformers reads, named by their
-- hash. Equal models share a folder.
CREATE TABLE models (
    job_id    INTEGER PRIMARY KEY REFERENCES jobs (id),
    folder    TEXT NOT NULL,                   -- absolute
    sha256    TEXT NOT NULL,                   -- of config.json and the weights
    bytes     INTEGER NOT NULL,                -- of the weights
    saved_at  TEXT NOT NULL
) WITHOUT ROWID;

-- Workers seen, for `status` and for reading afterwards.
CREATE TABLE workers (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    site          TEXT NOT NULL DEFAULT '',    -- where it runs; '': it was started by hand
    host          TEXT NOT NULL,
    process_id    INTEGER NOT NULL,
    ranks         INTEGER NOT NULL,
    is_one_process INTEGER NOT NULL DEFAULT 0 CHECK (is_one_process IN (0, 1)),  -- 1: which runs commands of that width
    device_class  TEXT NOT NULL,
    log_file      TEXT NOT NULL,
    connected_at  TEXT NOT NULL,
    left_at       TEXT,
    left_why      TEXT NOT NULL DEFAULT ''
);

-- The metrics that a stage's jobs report, in the order of its table.
CREATE TABLE stage_metrics (
    stage_id      INTEGER NOT NULL REFERENCES stages (id),
    position      INTEGER NOT NULL,
    name          TEXT NOT NULL,
    goal          TEXT NOT NULL CHECK (goal IN ('max', 'min')),
    unit          TEXT NOT NULL DEFAULT 'number' CHECK (unit IN ('number', 'fraction')),  -- fraction: shown in percent
    in_table      INTEGER NOT NULL DEFAULT 1 CHECK (in_table IN (0, 1)),  -- 1: a column of the comparison table
    PRIMARY KEY (stage_id, name)
) WITHOUT ROWID;
