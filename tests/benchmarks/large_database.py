"""Fills a results database as a large study of commands would: for what reads it, and for what else happens meanwhile."""

TIME = "2026-11-30T00:00:00.000Z"


def add_study(database, name, variants, seeds, epochs_of_first_job=0):
    """A study whose jobs have all succeeded, with one metric. `database`: a connection to a database of orchestrate."""
    last = lambda table: database.execute(f"select coalesce(max(id), 0) from {table}").fetchone()[0]
    study, stage = last("studies") + 1, last("stages") + 1
    first_variant, first_job = last("variants") + 1, last("jobs") + 1
    database.execute("insert into studies (id, name, file, toml, state, created_at) values (?, ?, '', '', 'finished', ?)",
                     (study, name, TIME))
    database.execute("insert into stages (id, study_id, position, name, kind, select_by, primary_metric) "
                     "values (?, ?, 0, 'ablation', 'ablation', 'v', 'v')", (stage, study))
    database.execute("insert into stage_metrics (stage_id, position, name, goal) values (?, 0, 'v', 'max')", (stage,))
    database.executemany(
        "insert into variants (id, stage_id, position, name, change, is_baseline, config) values (?, ?, ?, ?, ?, ?, '{}')",
        ((first_variant + i, stage, i, f"x = {i}", f"x {i}", int(i == 0)) for i in range(variants)))
    jobs = [(first_job + i * seeds + seed, first_variant + i, seed) for i in range(variants) for seed in range(seeds)]
    database.executemany(
        "insert into jobs (id, identity, config, paths, ranks, resources, state, created_at, finished_at) "
        f"values (?, ?, '{{}}', '{{}}', 1, '{{}}', 'succeeded', '{TIME}', '{TIME}')",
        ((job, f"{study:08x}{job:056x}") for job, _, _ in jobs))
    database.executemany(
        "insert into variant_jobs (variant_id, job_id, seed_index, initialization_seed, data_order_seed) "
        "values (?, ?, ?, ?, ?)", ((variant, job, seed, seed, seed) for job, variant, seed in jobs))
    database.executemany(
        "insert into attempts (job_id, number, worker, host, device_class, ranks, started_at, ended_at, cause) "
        f"values (?, 1, 'w-1', 'h', 'cpu', 1, '{TIME}', '{TIME}', 'succeeded')", ((job,) for job, _, _ in jobs))
    database.executemany(
        "insert into results values (?, 1, 0, 0, 1.0, 1.0, 0, 'cpu', 1, 0, '', '{}', '[]', null, null)",
        ((job,) for job, _, _ in jobs))
    database.executemany("insert into job_metrics values (?, 'test', 'v', ?)",
                         ((job, (job * 7919 % 1000) / 1000) for job, _, _ in jobs))
    epochs = [(first_job, epoch) for epoch in range(1, epochs_of_first_job + 1)]
    database.executemany("insert into epochs (job_id, epoch, attempt) values (?, ?, 1)", epochs)
    database.executemany("insert into epoch_metrics values (?, ?, 'validation', 'v', 0.5)", epochs)
    database.commit()
