-- The documented, stable interface of the results database: what users and programs read. See README.md.
--
-- Variants with hidden = 1 (no longer in the study's file) are left out. Only results of succeeded jobs count.
-- `comparison` and `class_comparison` are in percent, rounded for reading; everything else holds fractions from 0 to 1
-- as they were measured. Standard deviations are those of a sample (n - 1), computed in two passes around the mean,
-- and null below two values. Differences are taken between jobs of equal seed_index and then averaged. Ensembles over all
-- seeds have seed indices below 0: their difference is the one to the baseline's mean.
--
-- No view costs more than the rows that it reads (tests/results/views_cost_test.cpp): rows are found by their keys, and
-- `+state` keeps SQLite from beginning with all jobs of the database that are in that state.

-- One row per variant and seed: its job, that job's metrics on the test part, and the baseline's with the same seed.
CREATE VIEW seed_result AS
WITH visible AS (
    SELECT studies.id AS study_id, studies.name AS study,
           stages.id AS stage_id, stages.position AS stage_position, stages.name AS stage,
           variants.id AS variant_id, variants.position AS variant_position, variants.name AS variant,
           variants.is_baseline AS is_baseline, variants.is_ensemble AS is_ensemble,
           (SELECT baseline.id
            FROM variants AS baseline
            WHERE baseline.stage_id = stages.id AND baseline.is_baseline = 1 AND baseline.hidden = 0
            ORDER BY baseline.position, baseline.id
            LIMIT 1) AS baseline_id
    FROM studies
    JOIN stages ON stages.study_id = studies.id
    JOIN variants ON variants.stage_id = stages.id
    WHERE variants.hidden = 0
)
SELECT visible.study_id, visible.study, visible.stage_id, visible.stage_position, visible.stage,
       visible.variant_id, visible.variant_position, visible.variant, visible.is_baseline,
       variant_jobs.seed_index, variant_jobs.initialization_seed, variant_jobs.data_order_seed,
       jobs.id AS job, jobs.state,
       results.test_rows,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'loss') AS loss,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'accuracy') AS accuracy,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'macro_precision') AS macro_precision,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'macro_recall') AS macro_recall,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'macro_f1') AS macro_f1,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'weighted_precision') AS weighted_precision,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'weighted_recall') AS weighted_recall,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'weighted_f1') AS weighted_f1,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'test' AND name = 'f1_of_macro_averages') AS f1_of_macro_averages,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'validation' AND name = 'accuracy') AS validation_accuracy,
       (SELECT value FROM job_metrics
        WHERE job_id = results.job_id AND part = 'validation' AND name = 'macro_f1') AS validation_macro_f1,
       baseline_jobs.id AS baseline_job,
       CASE WHEN visible.is_baseline = 0 THEN
           (SELECT value FROM job_metrics WHERE job_id = results.job_id AND part = 'test' AND name = 'accuracy')
           - (SELECT value FROM job_metrics
              WHERE job_id = baseline_results.job_id AND part = 'test' AND name = 'accuracy')
       END AS accuracy_difference,
       CASE WHEN visible.is_baseline = 0 THEN
           (SELECT value FROM job_metrics WHERE job_id = results.job_id AND part = 'test' AND name = 'macro_f1')
           - CASE WHEN variant_jobs.seed_index >= 0 THEN
                 (SELECT value FROM job_metrics
                  WHERE job_id = baseline_results.job_id AND part = 'test' AND name = 'macro_f1')
             ELSE
                 (SELECT avg(every.value)
                  FROM variant_jobs AS others
                  JOIN jobs AS done ON done.id = others.job_id AND done.state = 'succeeded'
                  JOIN job_metrics AS every
                      ON every.job_id = done.id AND every.part = 'test' AND every.name = 'macro_f1'
                  WHERE others.variant_id = visible.baseline_id)
             END
       END AS difference,
       visible.is_ensemble, visible.baseline_id
FROM visible
JOIN variant_jobs ON variant_jobs.variant_id = visible.variant_id
JOIN jobs ON jobs.id = variant_jobs.job_id
LEFT JOIN results ON results.job_id = jobs.id AND jobs.state = 'succeeded'
LEFT JOIN variant_jobs AS baseline_seeds
    ON baseline_seeds.variant_id = visible.baseline_id AND baseline_seeds.seed_index = variant_jobs.seed_index
LEFT JOIN jobs AS baseline_jobs ON baseline_jobs.id = baseline_seeds.job_id
LEFT JOIN results AS baseline_results
    ON baseline_results.job_id = baseline_jobs.id AND baseline_jobs.state = 'succeeded';

-- One row per variant, unrounded: counts of its jobs by state, means and standard deviations over its seeds.
CREATE VIEW variant_summary AS
WITH means AS (
    SELECT variant_id, count(*) AS jobs,
           sum(state = 'waiting') AS waiting, sum(state = 'running') AS running, sum(state = 'succeeded') AS succeeded,
           sum(state = 'failed') AS failed, sum(state = 'cancelled') AS cancelled, sum(state = 'paused') AS paused,
           sum(state = 'quarantined') AS quarantined,
           count(macro_f1) AS measured, count(CASE WHEN seed_index >= 0 THEN difference END) AS pairs,
           avg(accuracy) AS accuracy, avg(macro_precision) AS macro_precision, avg(macro_recall) AS macro_recall,
           avg(macro_f1) AS macro_f1, avg(difference) AS difference,
           avg(validation_accuracy) AS validation_accuracy, avg(validation_macro_f1) AS validation_macro_f1
    FROM seed_result
    GROUP BY variant_id
),
spreads AS (
    SELECT seeds.variant_id,
           sqrt(sum((seeds.accuracy - means.accuracy) * (seeds.accuracy - means.accuracy))
                / nullif(means.measured - 1, 0)) AS accuracy_sd,
           sqrt(sum((seeds.macro_precision - means.macro_precision) * (seeds.macro_precision - means.macro_precision))
                / nullif(means.measured - 1, 0)) AS macro_precision_sd,
           sqrt(sum((seeds.macro_recall - means.macro_recall) * (seeds.macro_recall - means.macro_recall))
                / nullif(means.measured - 1, 0)) AS macro_recall_sd,
           sqrt(sum((seeds.macro_f1 - means.macro_f1) * (seeds.macro_f1 - means.macro_f1))
                / nullif(means.measured - 1, 0)) AS macro_f1_sd,
           sqrt(sum(CASE WHEN seeds.seed_index >= 0
                         THEN (seeds.difference - means.difference) * (seeds.difference - means.difference) END)
                / nullif(means.pairs - 1, 0)) AS difference_sd
    FROM seed_result AS seeds
    JOIN means ON means.variant_id = seeds.variant_id
    GROUP BY seeds.variant_id
)
SELECT studies.id AS study_id, studies.name AS study,
       stages.id AS stage_id, stages.position AS stage_position, stages.name AS stage,
       variants.id AS variant_id, variants.position AS variant_position, variants.name AS variant,
       variants.change, variants.is_baseline,
       coalesce(means.jobs, 0) AS jobs, coalesce(means.waiting, 0) AS waiting, coalesce(means.running, 0) AS running,
       coalesce(means.succeeded, 0) AS succeeded, coalesce(means.failed, 0) AS failed,
       coalesce(means.cancelled, 0) AS cancelled, coalesce(means.quarantined, 0) AS quarantined,
       coalesce(means.measured, 0) AS measured,
       means.accuracy, spreads.accuracy_sd, means.macro_precision, spreads.macro_precision_sd,
       means.macro_recall, spreads.macro_recall_sd, means.macro_f1, spreads.macro_f1_sd,
       coalesce(means.pairs, 0) AS pairs, means.difference, spreads.difference_sd,
       means.validation_accuracy, means.validation_macro_f1, coalesce(means.paused, 0) AS paused, variants.is_ensemble
FROM studies
JOIN stages ON stages.study_id = studies.id
JOIN variants ON variants.stage_id = stages.id
LEFT JOIN means ON means.variant_id = variants.id
LEFT JOIN spreads ON spreads.variant_id = variants.id
WHERE variants.hidden = 0
ORDER BY studies.id, stages.position, variants.is_baseline DESC, variants.position, variants.id;

-- The table of a study, for reading: one row per variant, the baseline first; test part, in percent.
-- difference: of macro F1 to the baseline, in percentage points, mean over the seeds that both have. Metrics that a command
-- reports under these names are in percent if its study says that they are fractions, else as they are.
CREATE VIEW comparison AS
WITH scaled AS (
    SELECT variant_summary.*,
           CASE WHEN (SELECT unit FROM stage_metrics
                      WHERE stage_metrics.stage_id = variant_summary.stage_id AND name = 'accuracy') = 'number'
                THEN 1 ELSE 100 END AS accuracy_scale,
           CASE WHEN (SELECT unit FROM stage_metrics
                      WHERE stage_metrics.stage_id = variant_summary.stage_id AND name = 'macro_f1') = 'number'
                THEN 1 ELSE 100 END AS scale
    FROM variant_summary
)
SELECT study, stage, variant,
       succeeded || '/' || jobs AS jobs,
       round(accuracy_scale * accuracy, 2) AS accuracy, round(accuracy_scale * accuracy_sd, 2) AS accuracy_sd,
       round(scale * macro_precision, 2) AS macro_precision, round(scale * macro_precision_sd, 2) AS macro_precision_sd,
       round(scale * macro_recall, 2) AS macro_recall, round(scale * macro_recall_sd, 2) AS macro_recall_sd,
       round(scale * macro_f1, 2) AS macro_f1, round(scale * macro_f1_sd, 2) AS macro_f1_sd,
       round(scale * difference, 2) AS difference, round(scale * difference_sd, 2) AS difference_sd,
       change
FROM scaled
ORDER BY study_id, stage_position, is_baseline DESC, variant_position, variant_id;

-- One row per variant and seed: where its job stands, its newest attempt, and its metrics on the test part. A job that
-- several variants share appears once for each; `shared_by` counts them.
CREATE VIEW job_overview AS
SELECT seeds.study, seeds.stage, seeds.variant, seeds.seed_index, seeds.initialization_seed, seeds.data_order_seed,
       seeds.job, seeds.state, attempts.cause,
       (SELECT count(*) FROM attempts AS counted WHERE counted.job_id = jobs.id) AS attempts,
       jobs.failures, attempts.worker, attempts.host, attempts.device_class, jobs.ranks,
       jobs.created_at, attempts.started_at, jobs.finished_at,
       results.train_seconds, results.total_seconds, results.selected_epoch, results.parameters,
       seeds.accuracy, seeds.macro_precision, seeds.macro_recall, seeds.macro_f1, results.collapsed,
       (SELECT count(*) FROM variant_jobs AS users WHERE users.job_id = jobs.id) AS shared_by,
       attempts.message, attempts.log_file
FROM seed_result AS seeds
JOIN jobs ON jobs.id = seeds.job
LEFT JOIN attempts
    ON attempts.job_id = jobs.id
    AND attempts.number = (SELECT max(newest.number) FROM attempts AS newest WHERE newest.job_id = jobs.id)
LEFT JOIN results ON results.job_id = jobs.id AND jobs.state = 'succeeded'
ORDER BY seeds.study_id, seeds.stage_position, seeds.is_baseline DESC, seeds.variant_position, seeds.variant_id,
         seeds.seed_index;

-- One row per attempt, in the order they began. `used_by` names the visible variants whose job it is. `seconds` is measured
-- by a monotonic clock; where that is unknown (older databases, a coordinator that was restarted) it is the difference of the
-- two times.
CREATE VIEW attempt_overview AS
SELECT attempts.job_id AS job, attempts.number AS attempt,
       (SELECT group_concat(study || ' / ' || stage || ' / ' || variant, '; ')
        FROM seed_result
        WHERE seed_result.job = attempts.job_id) AS used_by,
       coalesce(attempts.cause, 'running') AS cause, attempts.worker, attempts.host, attempts.device_class,
       attempts.ranks, attempts.started_at, attempts.ended_at,
       round(coalesce(attempts.seconds, (julianday(attempts.ended_at) - julianday(attempts.started_at)) * 86400), 3)
           AS seconds,
       attempts.message, attempts.log_file
FROM attempts
ORDER BY attempts.started_at, attempts.job_id, attempts.number;

-- One row per variant, seed and epoch; selected = 1 marks the epoch whose weights were tested. More metrics: metric_curve.
CREATE VIEW learning_curve AS
SELECT seeds.study, seeds.stage, seeds.variant, seeds.seed_index, seeds.job, epochs.epoch, epochs.attempt,
       epochs.train_loss,
       (SELECT value FROM epoch_metrics WHERE job_id = epochs.job_id AND epoch = epochs.epoch
        AND part = 'validation' AND name = 'loss') AS validation_loss,
       (SELECT value FROM epoch_metrics WHERE job_id = epochs.job_id AND epoch = epochs.epoch
        AND part = 'validation' AND name = 'accuracy') AS validation_accuracy,
       (SELECT value FROM epoch_metrics WHERE job_id = epochs.job_id AND epoch = epochs.epoch
        AND part = 'validation' AND name = 'macro_precision') AS validation_macro_precision,
       (SELECT value FROM epoch_metrics WHERE job_id = epochs.job_id AND epoch = epochs.epoch
        AND part = 'validation' AND name = 'macro_recall') AS validation_macro_recall,
       (SELECT value FROM epoch_metrics WHERE job_id = epochs.job_id AND epoch = epochs.epoch
        AND part = 'validation' AND name = 'macro_f1') AS validation_macro_f1,
       epochs.learning_rate, epochs.seconds, epochs.tokens_per_second,
       coalesce(epochs.epoch = results.selected_epoch, 0) AS selected
FROM seed_result AS seeds
JOIN epochs ON epochs.job_id = seeds.job
LEFT JOIN results ON results.job_id = seeds.job AND +seeds.state = 'succeeded'
ORDER BY seeds.study_id, seeds.stage_position, seeds.is_baseline DESC, seeds.variant_position, seeds.variant_id,
         seeds.seed_index, epochs.epoch;

-- One row per variant and class: metrics of that class on the test part, means over seeds, in percent; the difference
-- is of F1 to the baseline's F1 of the same class. support: rows of the class in the test part (mean over seeds).
CREATE VIEW class_comparison AS
WITH measured AS (
    SELECT seeds.study_id, seeds.study, seeds.stage_position, seeds.stage, seeds.is_baseline, seeds.variant_position,
           seeds.variant_id, seeds.variant, own.name AS class, own.class AS class_index, own.support,
           own.precision, own.recall, own.f1,
           CASE WHEN seeds.is_baseline = 0 THEN own.f1 - theirs.f1 END AS difference
    FROM seed_result AS seeds
    JOIN class_metrics AS own ON own.job_id = seeds.job AND +seeds.state = 'succeeded'
    LEFT JOIN jobs AS baseline_jobs ON baseline_jobs.id = seeds.baseline_job AND baseline_jobs.state = 'succeeded'
    LEFT JOIN class_metrics AS theirs ON theirs.job_id = baseline_jobs.id AND theirs.name = own.name
),
means AS (
    SELECT *, count(*) AS seeds, count(difference) AS pairs, avg(f1) AS mean_f1, avg(difference) AS mean_difference,
           avg(support) AS mean_support, avg(precision) AS mean_precision, avg(recall) AS mean_recall
    FROM measured
    GROUP BY variant_id, class
)
SELECT means.study, means.stage, means.variant, means.class, means.seeds,
       CASE WHEN means.mean_support = round(means.mean_support) THEN CAST(means.mean_support AS INTEGER)
            ELSE round(means.mean_support, 1) END AS support,
       round(100 * means.mean_precision, 2) AS precision, round(100 * means.mean_recall, 2) AS recall,
       round(100 * means.mean_f1, 2) AS f1,
       round(100 * sqrt(sum((measured.f1 - means.mean_f1) * (measured.f1 - means.mean_f1))
                        / nullif(means.seeds - 1, 0)), 2) AS f1_sd,
       round(100 * means.mean_difference, 2) AS difference,
       round(100 * sqrt(sum((measured.difference - means.mean_difference)
                            * (measured.difference - means.mean_difference))
                        / nullif(means.pairs - 1, 0)), 2) AS difference_sd
FROM means
JOIN measured ON measured.variant_id = means.variant_id AND measured.class = means.class
GROUP BY means.variant_id, means.class
ORDER BY means.study_id, means.stage_position, means.is_baseline DESC, means.variant_position, means.variant_id,
         means.class_index;

-- Confusion counts of the test part with names; share: of the rows of the true class. Unordered.
CREATE VIEW confusion_named AS
SELECT seeds.study, seeds.stage, seeds.variant, seeds.seed_index, seeds.job,
       json_extract(results.classes, '$[' || confusion.true_class || ']') AS true_class,
       json_extract(results.classes, '$[' || confusion.predicted_class || ']') AS predicted_class,
       confusion.count,
       confusion.count * 1.0 / class_metrics.support AS share
FROM seed_result AS seeds
JOIN results ON results.job_id = seeds.job AND +seeds.state = 'succeeded'
JOIN confusion ON confusion.job_id = seeds.job
LEFT JOIN class_metrics
    ON class_metrics.job_id = confusion.job_id AND class_metrics.class = confusion.true_class;

-- Predictions on the test part with names; line: 1-based, in the data file. Unordered.
CREATE VIEW prediction_named AS
SELECT seeds.study, seeds.stage, seeds.variant, seeds.seed_index, seeds.job, predictions.line,
       json_extract(results.classes, '$[' || predictions.true_class || ']') AS true_class,
       json_extract(results.classes, '$[' || predictions.predicted_class || ']') AS predicted_class,
       predictions.probability, predictions.true_class = predictions.predicted_class AS correct
FROM seed_result AS seeds
JOIN results ON results.job_id = seeds.job AND +seeds.state = 'succeeded'
JOIN predictions ON predictions.job_id = seeds.job;

-- One row per stage: how many different jobs of it are in which state.
CREATE VIEW study_progress AS
WITH stage_jobs AS (
    SELECT DISTINCT stage_id, job, state FROM seed_result WHERE is_ensemble = 0
)
SELECT studies.name AS study, studies.state AS study_state, stages.name AS stage,
       (SELECT count(*) FROM variants WHERE variants.stage_id = stages.id AND variants.hidden = 0) AS variants,
       count(stage_jobs.job) AS jobs,
       coalesce(sum(stage_jobs.state = 'waiting'), 0) AS waiting,
       coalesce(sum(stage_jobs.state = 'running'), 0) AS running,
       coalesce(sum(stage_jobs.state = 'succeeded'), 0) AS succeeded,
       coalesce(sum(stage_jobs.state = 'failed'), 0) AS failed,
       coalesce(sum(stage_jobs.state = 'cancelled'), 0) AS cancelled,
       coalesce(sum(stage_jobs.state = 'quarantined'), 0) AS quarantined,
       studies.created_at, studies.finished_at,
       coalesce(sum(stage_jobs.state = 'paused'), 0) AS paused
FROM studies
JOIN stages ON stages.study_id = studies.id
LEFT JOIN stage_jobs ON stage_jobs.stage_id = stages.id
GROUP BY stages.id
ORDER BY studies.id, stages.position;

-- One row per variant, seed, part and metric of a succeeded job, and the difference to the baseline's with the same seed.
-- goal, unit and metric_position: of metrics that the stage declares; NULL for others. collapsed: 1 if the run, or the
-- baseline's, predicts nearly one class; such runs are not selected. Stages select by this view.
CREATE VIEW metric_result AS
SELECT seeds.study_id, seeds.study, seeds.stage_id, seeds.stage_position, seeds.stage, seeds.variant_id,
       seeds.variant_position, seeds.variant, seeds.is_baseline, seeds.seed_index, seeds.job,
       own.part, own.name AS metric, stage_metrics.position AS metric_position, stage_metrics.goal, own.value,
       CASE WHEN seeds.is_baseline = 0 THEN
           own.value
           - CASE WHEN seeds.seed_index >= 0 THEN
                 (SELECT theirs.value
                  FROM job_metrics AS theirs
                  JOIN jobs AS done ON done.id = theirs.job_id AND done.state = 'succeeded'
                  WHERE theirs.job_id = seeds.baseline_job AND theirs.part = own.part AND theirs.name = own.name)
             ELSE
                 (SELECT avg(every.value)
                  FROM variant_jobs AS others
                  JOIN jobs AS done ON done.id = others.job_id AND done.state = 'succeeded'
                  JOIN job_metrics AS every
                      ON every.job_id = done.id AND every.part = own.part AND every.name = own.name
                  WHERE others.variant_id = seeds.baseline_id)
             END
       END AS difference,
       stage_metrics.unit, seeds.is_ensemble,
       coalesce((SELECT collapsed FROM results WHERE results.job_id = seeds.job), 0) AS collapsed,
       coalesce((SELECT collapsed FROM results WHERE results.job_id = seeds.baseline_job), 0) AS baseline_collapsed
FROM seed_result AS seeds
JOIN job_metrics AS own ON own.job_id = seeds.job AND +seeds.state = 'succeeded'
LEFT JOIN stage_metrics ON stage_metrics.stage_id = seeds.stage_id AND stage_metrics.name = own.name
ORDER BY seeds.study_id, seeds.stage_position, seeds.is_baseline DESC, seeds.variant_position, seeds.variant_id,
         own.part, stage_metrics.position IS NULL, stage_metrics.position, own.name, seeds.seed_index;

-- One row per variant, part and metric: means over seeds, as they were reported.
CREATE VIEW metric_comparison AS
WITH means AS (
    SELECT *, count(*) AS seeds, count(CASE WHEN seed_index >= 0 THEN difference END) AS pairs,
           avg(value) AS mean, avg(difference) AS mean_difference
    FROM metric_result
    GROUP BY variant_id, part, metric
)
SELECT means.study, means.stage, means.variant, means.part, means.metric, means.goal, means.seeds,
       means.mean AS value,
       sqrt(sum((own.value - means.mean) * (own.value - means.mean)) / nullif(means.seeds - 1, 0)) AS value_sd,
       means.pairs, means.mean_difference AS difference,
       sqrt(sum(CASE WHEN own.seed_index >= 0
                     THEN (own.difference - means.mean_difference) * (own.difference - means.mean_difference) END)
            / nullif(means.pairs - 1, 0)) AS difference_sd,
       means.stage_id, means.variant_id, means.metric_position, means.unit
FROM means
JOIN metric_result AS own
    ON own.variant_id = means.variant_id AND own.part = means.part AND own.metric = means.metric
GROUP BY means.variant_id, means.part, means.metric
ORDER BY means.study_id, means.stage_position, means.is_baseline DESC, means.variant_position, means.variant_id,
         means.part, means.metric_position IS NULL, means.metric_position, means.metric;

-- One row per variant, seed, epoch, part and metric.
CREATE VIEW metric_curve AS
SELECT seeds.study, seeds.stage, seeds.variant, seeds.seed_index, seeds.job, epochs.epoch, epochs.attempt,
       epoch_metrics.part, epoch_metrics.name AS metric, epoch_metrics.value
FROM seed_result AS seeds
JOIN epochs ON epochs.job_id = seeds.job
JOIN epoch_metrics ON epoch_metrics.job_id = epochs.job_id AND epoch_metrics.epoch = epochs.epoch
ORDER BY seeds.study_id, seeds.stage_position, seeds.is_baseline DESC, seeds.variant_position, seeds.variant_id,
         seeds.seed_index, epochs.epoch, epoch_metrics.part, epoch_metrics.name;
