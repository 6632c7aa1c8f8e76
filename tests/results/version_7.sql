-- A database as the program of schema version 7 wrote it, without its views: a study of trainings with an ensemble, and one of
-- a command. version_7_views.txt has what its views said.
BEGIN TRANSACTION;
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
    PRIMARY KEY (job_id, number)
) WITHOUT ROWID;
INSERT INTO "attempts" VALUES(1,1,'local-1','lab-1','cpu avx512',1,'2026-12-01T13:17:58.643Z','2026-12-01T13:17:59.381Z',0.734730071,'succeeded','','/lab/old.db.d/logs/job-1-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(2,1,'local-2','lab-1','cpu avx512',1,'2026-12-01T13:17:58.662Z','2026-12-01T13:17:59.115Z',0.439937562,'succeeded','','/lab/old.db.d/logs/job-2-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(3,1,'local-2','lab-1','cpu avx512',1,'2026-12-01T13:17:59.115Z','2026-12-01T13:17:59.163Z',0.046005431,'succeeded','','/lab/old.db.d/logs/job-3-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(4,1,'local-2','lab-1','cpu avx512',1,'2026-12-01T13:17:59.163Z','2026-12-01T13:17:59.214Z',0.045046681,'succeeded','','/lab/old.db.d/logs/job-4-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(5,1,'local-2','lab-1','cpu avx512',1,'2026-12-01T13:17:59.215Z','2026-12-01T13:17:59.295Z',0.075824574,'succeeded','','/lab/old.db.d/logs/job-5-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(6,1,'local-2','lab-1','cpu avx512',1,'2026-12-01T13:17:59.295Z','2026-12-01T13:17:59.394Z',0.090495368,'succeeded','','/lab/old.db.d/logs/job-6-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(8,1,'local-102','lab-1','cpu',1,'2026-12-01T13:17:59.755Z','2026-12-01T13:17:59.779Z',0.019993782,'succeeded','','/lab/old.db.d/logs/job-8-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(9,1,'local-101','lab-1','cpu',1,'2026-12-01T13:17:59.758Z','2026-12-01T13:17:59.786Z',0.014369778,'succeeded','','/lab/old.db.d/logs/job-9-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(10,1,'local-102','lab-1','cpu',1,'2026-12-01T13:17:59.779Z','2026-12-01T13:17:59.790Z',0.004907383,'succeeded','','/lab/old.db.d/logs/job-10-attempt-1.log',NULL,NULL);
INSERT INTO "attempts" VALUES(11,1,'local-101','lab-1','cpu',1,'2026-12-01T13:17:59.786Z','2026-12-01T13:17:59.802Z',0.011098687,'succeeded','','/lab/old.db.d/logs/job-11-attempt-1.log',NULL,NULL);
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
INSERT INTO "class_metrics" VALUES(1,0,'funk',0.0,0.0,0.0,11);
INSERT INTO "class_metrics" VALUES(1,1,'punk',5.41666666666666629659e-01,1.0,7.0270270270270274171e-01,13);
INSERT INTO "class_metrics" VALUES(2,0,'funk',0.0,0.0,0.0,11);
INSERT INTO "class_metrics" VALUES(2,1,'punk',5.41666666666666629659e-01,1.0,7.0270270270270274171e-01,13);
INSERT INTO "class_metrics" VALUES(3,0,'funk',0.0,0.0,0.0,11);
INSERT INTO "class_metrics" VALUES(3,1,'punk',5.41666666666666629659e-01,1.0,7.0270270270270274171e-01,13);
INSERT INTO "class_metrics" VALUES(4,0,'funk',0.0,0.0,0.0,11);
INSERT INTO "class_metrics" VALUES(4,1,'punk',5.41666666666666629659e-01,1.0,7.0270270270270274171e-01,13);
INSERT INTO "class_metrics" VALUES(5,0,'funk',0.0,0.0,0.0,11);
INSERT INTO "class_metrics" VALUES(5,1,'punk',5.41666666666666629659e-01,1.0,7.0270270270270274171e-01,13);
INSERT INTO "class_metrics" VALUES(6,0,'funk',0.6875,1.0,8.14814814814814769583e-01,11);
INSERT INTO "class_metrics" VALUES(6,1,'punk',1.0,6.15384615384615418776e-01,7.61904761904761862467e-01,13);
INSERT INTO "class_metrics" VALUES(7,0,'funk',0.0,0.0,0.0,11);
INSERT INTO "class_metrics" VALUES(7,1,'punk',5.41666666666666629659e-01,1.0,7.0270270270270274171e-01,13);
CREATE TABLE confusion (
    job_id           INTEGER NOT NULL REFERENCES jobs (id),
    true_class       INTEGER NOT NULL,
    predicted_class  INTEGER NOT NULL,
    count            INTEGER NOT NULL,
    PRIMARY KEY (job_id, true_class, predicted_class)
) WITHOUT ROWID;
INSERT INTO "confusion" VALUES(1,0,1,11);
INSERT INTO "confusion" VALUES(1,1,1,13);
INSERT INTO "confusion" VALUES(2,0,1,11);
INSERT INTO "confusion" VALUES(2,1,1,13);
INSERT INTO "confusion" VALUES(3,0,1,11);
INSERT INTO "confusion" VALUES(3,1,1,13);
INSERT INTO "confusion" VALUES(4,0,1,11);
INSERT INTO "confusion" VALUES(4,1,1,13);
INSERT INTO "confusion" VALUES(5,0,1,11);
INSERT INTO "confusion" VALUES(5,1,1,13);
INSERT INTO "confusion" VALUES(6,0,0,11);
INSERT INTO "confusion" VALUES(6,1,0,5);
INSERT INTO "confusion" VALUES(6,1,1,8);
INSERT INTO "confusion" VALUES(7,0,1,11);
INSERT INTO "confusion" VALUES(7,1,1,13);
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
INSERT INTO "database_identity" VALUES(1,'c90088042fd2709cf4893d3d0aaf7cfd','2026-12-01T13:17:58.607Z','','lab-1','/lab/old.db',65024,10985608);
CREATE TABLE database_owner (
    only_row      INTEGER PRIMARY KEY CHECK (only_row = 1),
    token         TEXT NOT NULL,               -- random, of this start of the coordinator
    host          TEXT NOT NULL,
    process_id    INTEGER NOT NULL,
    started_at    TEXT NOT NULL,
    heartbeat_at  TEXT NOT NULL                -- renewed every few seconds
);
CREATE TABLE ensemble_members (
    job_id     INTEGER NOT NULL REFERENCES jobs (id),
    member_id  INTEGER NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (job_id, member_id)
) WITHOUT ROWID;
INSERT INTO "ensemble_members" VALUES(7,1);
INSERT INTO "ensemble_members" VALUES(7,2);
CREATE TABLE epochs (
    job_id               INTEGER NOT NULL REFERENCES jobs (id),
    epoch                INTEGER NOT NULL,     -- 1-based
    attempt              INTEGER NOT NULL,
    train_loss           REAL NOT NULL,
    learning_rate        REAL NOT NULL,
    seconds              REAL NOT NULL,
    tokens_per_second    REAL NOT NULL,
    validation_loss      REAL NOT NULL,
    validation_accuracy  REAL NOT NULL,
    validation_macro_precision REAL NOT NULL,
    validation_macro_recall    REAL NOT NULL,
    validation_macro_f1  REAL NOT NULL,
    PRIMARY KEY (job_id, epoch)
) WITHOUT ROWID;
INSERT INTO "epochs" VALUES(1,1,1,6.9138075908025109495e-01,2.86666666666666666851e-03,0.020421075,7.5118474419196834789e+04,6.90044591824213626729e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(1,2,1,6.88539256652196285379e-01,2.46666666666666648671e-03,0.01512762,1.01403922097461472728e+05,6.90603243807951572286e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(1,3,1,6.87977065642674801004e-01,2.06666666666666673859e-03,0.002520972,6.08495453341012937018e+05,6.92034708956877353536e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(1,4,1,6.89928432305653926981e-01,1.66666666666666677364e-03,0.014994512,1.02304096325375576273e+05,6.90857715904712677001e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(1,5,1,6.91719025373458862304e-01,1.26666666666666659184e-03,0.007447242,2.05982295190622244265e+05,6.8920417378346121584e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(1,6,1,6.85419688622156741963e-01,8.66666666666666626883e-04,0.015250712,1.00585467747341899668e+05,6.88840826352437374247e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(1,7,1,6.87627047300338745117e-01,4.66666666666666661925e-04,0.012574631,1.2199165128583097248e+05,6.88383777936299678934e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(1,8,1,6.85406565666198730468e-01,6.66666666666666698614e-05,0.018084306,8.48249305226310534606e+04,0.688130242129167,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(2,1,1,0.692301462093989,2.86666666666666666851e-03,0.016089113,9.53439757679618633129e+04,6.90363923708597782002e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(2,2,1,6.88016047080357906473e-01,2.46666666666666648671e-03,0.011332303,1.353652474699979357e+05,6.89809973041216495381e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(2,3,1,6.88672473033269283426e-01,2.06666666666666673859e-03,0.00261479,5.86662791275781230057e+05,6.90004912515481350077e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(2,4,1,6.89291288455327388895e-01,1.66666666666666677364e-03,0.007404459,2.0717246189086872619e+05,6.90053726236025455342e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(2,5,1,6.87058289845784542215e-01,1.26666666666666659184e-03,0.002675119,5.7343243422068329528e+05,6.89557380974292755126e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(2,6,1,6.87166124582290649414e-01,8.66666666666666626883e-04,0.006598927,2.32462035115708946244e+05,0.689128282169501,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(2,7,1,6.86394969622294071065e-01,4.66666666666666661925e-04,0.006912731,2.21909401653268432714e+05,6.88573601345221164571e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(2,8,1,6.87809705734252929687e-01,6.66666666666666698614e-05,0.002441092,6.28407286575024598288e+05,6.88142361740271213399e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(3,1,1,6.91380898157755496846e-01,2.86666666666666666851e-03,0.002688759,3.21337836526070197581e+05,6.90051699678103092061e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(3,2,1,0.688546488682429,2.46666666666666648671e-03,0.005277341,1.6371881218211975647e+05,6.90592239300409915792e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(3,3,1,6.88042104244232177734e-01,2.06666666666666673859e-03,0.006890017,1.25398819770691421582e+05,6.92058809101581573486e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(3,4,1,6.90087775389353397237e-01,1.66666666666666677364e-03,2.12621599999999978322e-03,406355.704218198,6.9102754940589272703e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(3,5,1,6.92073603471120235575e-01,1.26666666666666659184e-03,0.002072027,4.169829833298504236e+05,6.89623676240444183349e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(3,6,1,6.86337172985076904296e-01,8.66666666666666626883e-04,0.010946572,7.89288189946587808668e+04,0.689623827735583,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(3,7,1,6.88889394203821781026e-01,4.66666666666666661925e-04,0.002603664,3.31840053094408533071e+05,6.89614114662011501444e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(3,8,1,6.87347968419392940653e-01,6.66666666666666698614e-05,0.002929946,2.94885980833776469803e+05,6.89613091448942783223e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(4,1,1,6.92293365796407100809e-01,2.86666666666666666851e-03,0.002602151,3.32032998853640689044e+05,6.90355430046717288838e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(4,2,1,6.88045650720596313476e-01,2.46666666666666648671e-03,0.006833264,1.26440307296776474686e+05,6.89785828193028804911e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(4,3,1,6.8862945834795630251e-01,2.06666666666666673859e-03,0.002476585,3.48867492938865441818e+05,6.89997601012388828145e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(4,4,1,6.89353436231613159179e-01,1.66666666666666677364e-03,0.002387754,3.61846320852148055574e+05,6.90145716071128845214e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(4,5,1,6.8734435240427649294e-01,1.26666666666666659184e-03,0.007004677,1.23346158573764361785e+05,6.89994325240453121317e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(4,6,1,6.87851419051488277567e-01,8.66666666666666626883e-04,0.006516365,1.32589257968207733942e+05,6.90021790564060211181e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(4,7,1,6.88077757755915286885e-01,4.66666666666666661925e-04,0.007647219,1.12982248841049266047e+05,6.90084916849931118143e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(4,8,1,6.89911305904388427734e-01,6.66666666666666698614e-05,0.002544016,3.39620505531411734411e+05,0.690036545197169,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(5,1,1,6.91381335258483886718e-01,2.86666666666666666851e-03,0.004096833,2.10406428575438621915e+05,6.90044037997722625732e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(5,2,1,6.88496311505635616434e-01,2.46666666666666648671e-03,0.002855205,3.01904766908155463168e+05,6.90614315370718601094e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(5,3,1,0.687950074672699,2.06666666666666673859e-03,0.003597885,239585.200749885,0.691970539589723,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(5,4,1,6.89598878224690792215e-01,1.66666666666666677364e-03,0.015016255,5.7404459367532057511e+04,6.90310383836428287374e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(5,5,1,6.90929412841796875e-01,1.26666666666666659184e-03,0.00287108,3.00235451467740407688e+05,6.87867311139901516092e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(5,6,1,6.83000266551971435546e-01,8.66666666666666626883e-04,0.010941083,78785.619302952,6.86075116197268131124e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(5,7,1,6.83564424514770507812e-01,4.66666666666666661925e-04,0.007005669,1.23043209720584854947e+05,6.8381897856791817869e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(5,8,1,6.78756147623062133789e-01,6.66666666666666698614e-05,0.002185815,3.94360913435034570271e+05,6.82505279779434204101e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(6,1,1,6.92275524139404296875e-01,2.86666666666666666851e-03,0.00267612,3.22108126690880802928e+05,6.90350020925203922139e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(6,2,1,6.8796666463216149534e-01,2.46666666666666648671e-03,0.015090886,5.7120569329063917395e+04,0.689761276046435,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(6,3,1,0.688292662302653,2.06666666666666673859e-03,0.018860635,4.57036573795102885921e+04,6.89535746971766116963e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(6,4,1,6.8783524632453918457e-01,1.66666666666666677364e-03,0.010496525,8.21224167045760405046e+04,6.87987876435120937479e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(6,5,1,0.681263267993927,1.26666666666666659184e-03,0.002476745,3.4803744430694321635e+05,6.81869084636370303975e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(6,6,1,0.669267475605011,8.66666666666666626883e-04,0.015007812,5.74367536053889780325e+04,6.69418625533580780029e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(6,7,1,6.43712033828099605692e-01,4.66666666666666661925e-04,0.012237162,7.04411692841853364363e+04,6.53207508226235744608e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01);
INSERT INTO "epochs" VALUES(6,8,1,6.27121806144714355468e-01,6.66666666666666698614e-05,0.011418871,7.54890741825527220509e+04,6.45453845461209652079e-01,7.0833333333333337034e-01,0.75,7.23776223776223748274e-01,7.03703703703703720151e-01);
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
    by_person     INTEGER NOT NULL DEFAULT 0,  -- 1: cancelled by a command; 0: if cancelled, as no study names it
    created_at    TEXT NOT NULL,
    finished_at   TEXT
);
INSERT INTO "jobs" VALUES(1,'46e18ce585c21c52866c336909e3ebf1da2aae385a35a20ff3ee3bed9917638d','{"data":{"classes":[],"features":["energy","tempo"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":1,"initialization":1},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}','{"command_folder":"","data":"/lab/d.csv","pretrained":"","vocabulary":""}',1,'{"metrics":[],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:58.610Z','2026-12-01T13:17:59.381Z');
INSERT INTO "jobs" VALUES(2,'d8afd33b2d1a0b832d170422265526dac945fd7bad1d724e953a1d32b0fa8440','{"data":{"classes":[],"features":["energy","tempo"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":2,"initialization":2},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}','{"command_folder":"","data":"/lab/d.csv","pretrained":"","vocabulary":""}',1,'{"metrics":[],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:58.610Z','2026-12-01T13:17:59.115Z');
INSERT INTO "jobs" VALUES(3,'2821d520f89e4fd4e40148bf491a55fed8a9272e902ef96e002bb6ad41ffd38c','{"data":{"classes":[],"features":["tempo"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":1,"initialization":1},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}','{"command_folder":"","data":"/lab/d.csv","pretrained":"","vocabulary":""}',1,'{"metrics":[],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:58.610Z','2026-12-01T13:17:59.163Z');
INSERT INTO "jobs" VALUES(4,'4d8d882f728fbd1bca4787dad95aab475d46362c285e732d6e6eb8001993a486','{"data":{"classes":[],"features":["tempo"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":2,"initialization":2},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}','{"command_folder":"","data":"/lab/d.csv","pretrained":"","vocabulary":""}',1,'{"metrics":[],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:58.610Z','2026-12-01T13:17:59.214Z');
INSERT INTO "jobs" VALUES(5,'8f00f4d5dac364a60b11afc0bc1ae53e064e6e9a2a65ea23902f10c215288e16','{"data":{"classes":[],"features":["energy"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":1,"initialization":1},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}','{"command_folder":"","data":"/lab/d.csv","pretrained":"","vocabulary":""}',1,'{"metrics":[],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:58.610Z','2026-12-01T13:17:59.295Z');
INSERT INTO "jobs" VALUES(6,'44f5bd449cdbe315258085e7a4282a91a9da2a1713a917193828b1377823ddee','{"data":{"classes":[],"features":["energy"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":2,"initialization":2},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}','{"command_folder":"","data":"/lab/d.csv","pretrained":"","vocabulary":""}',1,'{"metrics":[],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:58.610Z','2026-12-01T13:17:59.394Z');
INSERT INTO "jobs" VALUES(7,'10b42a136403c1f30114f07cd59e9070b769e6c90f174b28a320225f3aad8cb8','{"combine":"mean","members":["46e18ce585c21c52866c336909e3ebf1da2aae385a35a20ff3ee3bed9917638d","d8afd33b2d1a0b832d170422265526dac945fd7bad1d724e953a1d32b0fa8440"]}','{}',1,'{}','succeeded',0,0,'2026-12-01T13:17:59.403Z','2026-12-01T13:17:59.403Z');
INSERT INTO "jobs" VALUES(8,'c2bf59bd9bed629241ce26cb1fe696e07f358e1e6638a63d78db288ff0917512','{"command":{"files":[{"name":"c.sh","sha256":"de88a12c6260ae8fe87bd667da211f726a70fcae77d03c9791faf7e8eb668c57"}],"parameters":{"x":1},"run":["sh","c.sh","{x}"]},"seed":{"data_order":1,"initialization":1}}','{"command_folder":"/lab","data":"","pretrained":"","vocabulary":""}',1,'{"metrics":["test score","test cost"],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:59.717Z','2026-12-01T13:17:59.779Z');
INSERT INTO "jobs" VALUES(9,'a7e246e0a2764f11f664d9bb9d8ac44ab60ae9c9824cb156edf7993677b3007c','{"command":{"files":[{"name":"c.sh","sha256":"de88a12c6260ae8fe87bd667da211f726a70fcae77d03c9791faf7e8eb668c57"}],"parameters":{"x":1},"run":["sh","c.sh","{x}"]},"seed":{"data_order":2,"initialization":2}}','{"command_folder":"/lab","data":"","pretrained":"","vocabulary":""}',1,'{"metrics":["test score","test cost"],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:59.717Z','2026-12-01T13:17:59.786Z');
INSERT INTO "jobs" VALUES(10,'37b570b6d8ed42a77d3258473faf21677b3609350660ee321f24baa15abaa42b','{"command":{"files":[{"name":"c.sh","sha256":"de88a12c6260ae8fe87bd667da211f726a70fcae77d03c9791faf7e8eb668c57"}],"parameters":{"x":2},"run":["sh","c.sh","{x}"]},"seed":{"data_order":1,"initialization":1}}','{"command_folder":"/lab","data":"","pretrained":"","vocabulary":""}',1,'{"metrics":["test score","test cost"],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:59.717Z','2026-12-01T13:17:59.790Z');
INSERT INTO "jobs" VALUES(11,'9b67ed4f8cf9524ed670ecc22f851d746e09f66fef6b70d6c899a3c14a5aa12c','{"command":{"files":[{"name":"c.sh","sha256":"de88a12c6260ae8fe87bd667da211f726a70fcae77d03c9791faf7e8eb668c57"}],"parameters":{"x":2},"run":["sh","c.sh","{x}"]},"seed":{"data_order":2,"initialization":2}}','{"command_folder":"/lab","data":"","pretrained":"","vocabulary":""}',1,'{"metrics":["test score","test cost"],"micro_batch_size":0,"pause_after_epoch":0,"ranks":1,"retry_out_of_memory":false,"save_model":false}','succeeded',0,0,'2026-12-01T13:17:59.717Z','2026-12-01T13:17:59.802Z');
CREATE TABLE models (
    job_id    INTEGER PRIMARY KEY REFERENCES jobs (id),
    folder    TEXT NOT NULL,                   -- absolute
    sha256    TEXT NOT NULL,                   -- of config.json and the weights
    bytes     INTEGER NOT NULL,                -- of the weights
    saved_at  TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE named_epochs (
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    epoch         INTEGER NOT NULL,            -- 1-based
    attempt       INTEGER NOT NULL,
    part          TEXT NOT NULL CHECK (part IN ('validation', 'test')),
    name          TEXT NOT NULL,
    value         REAL NOT NULL,
    PRIMARY KEY (job_id, epoch, part, name)
) WITHOUT ROWID;
INSERT INTO "named_epochs" VALUES(8,1,1,'validation','score',0.1);
INSERT INTO "named_epochs" VALUES(9,1,1,'validation','score',0.1);
INSERT INTO "named_epochs" VALUES(10,1,1,'validation','score',0.2);
INSERT INTO "named_epochs" VALUES(11,1,1,'validation','score',0.2);
CREATE TABLE named_metrics (
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    part          TEXT NOT NULL CHECK (part IN ('validation', 'test')),
    name          TEXT NOT NULL,
    value         REAL NOT NULL,
    PRIMARY KEY (job_id, part, name)
) WITHOUT ROWID;
INSERT INTO "named_metrics" VALUES(8,'test','cost',1.0);
INSERT INTO "named_metrics" VALUES(8,'test','score',0.1);
INSERT INTO "named_metrics" VALUES(9,'test','cost',1.0);
INSERT INTO "named_metrics" VALUES(9,'test','score',0.1);
INSERT INTO "named_metrics" VALUES(10,'test','cost',2.0);
INSERT INTO "named_metrics" VALUES(10,'test','score',0.2);
INSERT INTO "named_metrics" VALUES(11,'test','cost',2.0);
INSERT INTO "named_metrics" VALUES(11,'test','score',0.2);
CREATE TABLE part_metrics (
    job_id              INTEGER NOT NULL REFERENCES jobs (id),
    part                TEXT NOT NULL CHECK (part IN ('validation', 'test')),
    rows                INTEGER NOT NULL,
    loss                REAL,                  -- NULL: of a vote, which gives no probabilities
    accuracy            REAL NOT NULL,
    macro_precision     REAL NOT NULL,
    macro_recall        REAL NOT NULL,
    macro_f1            REAL NOT NULL,
    weighted_precision  REAL NOT NULL,
    weighted_recall     REAL NOT NULL,
    weighted_f1         REAL NOT NULL,
    f1_of_macro_averages REAL NOT NULL,        -- harmonic mean of macro precision and macro recall; not macro_f1
    PRIMARY KEY (job_id, part)
) WITHOUT ROWID;
INSERT INTO "part_metrics" VALUES(1,'test',24,6.90041636427243587625e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(1,'validation',24,6.90044591824213626729e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(2,'test',24,6.9036349157492316042e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(2,'validation',24,6.90363923708597782002e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(3,'test',24,6.90050418178240421163e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(3,'validation',24,6.90051699678103092061e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(4,'test',24,6.90358996391296386718e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(4,'validation',24,6.90355430046717288838e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(5,'test',24,6.90043064455191257344e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(5,'validation',24,6.90044037997722625732e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
INSERT INTO "part_metrics" VALUES(6,'test',24,6.26577237000068065775e-01,7.91666666666666629659e-01,0.84375,8.07692307692307709388e-01,7.88359788359788371536e-01,8.56770833333333259318e-01,7.91666666666666629659e-01,7.86155202821869347751e-01,8.25327510917030493509e-01);
INSERT INTO "part_metrics" VALUES(6,'validation',24,6.45453845461209652079e-01,7.0833333333333337034e-01,0.75,7.23776223776223748274e-01,7.03703703703703720151e-01,7.60416666666666629659e-01,7.08333333333333259318e-01,7.00617283950617175669e-01,7.36654804270462593152e-01);
INSERT INTO "part_metrics" VALUES(7,'test',24,6.90188735858843771531e-01,5.41666666666666629659e-01,2.70833333333333314829e-01,0.5,3.51351351351351370855e-01,2.93402777777777734602e-01,5.41666666666666629659e-01,3.8063063063063062863e-01,3.51351351351351370855e-01);
CREATE TABLE predictions (
    job_id           INTEGER NOT NULL REFERENCES jobs (id),
    line             INTEGER NOT NULL,         -- 1-based line in the data file
    true_class       INTEGER NOT NULL,
    predicted_class  INTEGER NOT NULL,
    probability      REAL NOT NULL,            -- of the predicted class; of a vote: its share of the votes
    PRIMARY KEY (job_id, line)
) WITHOUT ROWID;
INSERT INTO "predictions" VALUES(1,2,0,1,5.27922391891479492187e-01);
INSERT INTO "predictions" VALUES(1,31,0,1,5.27938365936279296875e-01);
INSERT INTO "predictions" VALUES(1,37,1,1,5.27930378913879394531e-01);
INSERT INTO "predictions" VALUES(1,42,0,1,0.527940034866333);
INSERT INTO "predictions" VALUES(1,45,1,1,5.2794742584228515625e-01);
INSERT INTO "predictions" VALUES(1,66,0,1,5.27922391891479492187e-01);
INSERT INTO "predictions" VALUES(1,73,1,1,5.27936697006225585937e-01);
INSERT INTO "predictions" VALUES(1,78,0,1,0.527940034866333);
INSERT INTO "predictions" VALUES(1,92,1,1,5.2793985605239868164e-01);
INSERT INTO "predictions" VALUES(1,115,1,1,0.527940034866333);
INSERT INTO "predictions" VALUES(1,120,1,1,5.279331207275390625e-01);
INSERT INTO "predictions" VALUES(1,124,1,1,5.27940630912780761718e-01);
INSERT INTO "predictions" VALUES(1,130,0,1,5.27931571006774902343e-01);
INSERT INTO "predictions" VALUES(1,145,1,1,5.27940630912780761718e-01);
INSERT INTO "predictions" VALUES(1,152,0,1,5.27931571006774902343e-01);
INSERT INTO "predictions" VALUES(1,160,0,1,5.27936697006225585937e-01);
INSERT INTO "predictions" VALUES(1,164,1,1,5.27936697006225585937e-01);
INSERT INTO "predictions" VALUES(1,171,1,1,0.527940034866333);
INSERT INTO "predictions" VALUES(1,172,1,1,5.27940630912780761718e-01);
INSERT INTO "predictions" VALUES(1,173,1,1,5.27960240840911865234e-01);
INSERT INTO "predictions" VALUES(1,190,1,1,5.2793985605239868164e-01);
INSERT INTO "predictions" VALUES(1,214,0,1,5.27931511402130126953e-01);
INSERT INTO "predictions" VALUES(1,223,0,1,5.27931571006774902343e-01);
INSERT INTO "predictions" VALUES(1,239,0,1,5.27931511402130126953e-01);
INSERT INTO "predictions" VALUES(2,2,0,1,5.23039102554321289062e-01);
INSERT INTO "predictions" VALUES(2,31,0,1,5.23044824600219726562e-01);
INSERT INTO "predictions" VALUES(2,37,1,1,5.23044407367706298828e-01);
INSERT INTO "predictions" VALUES(2,42,0,1,5.23044943809509277343e-01);
INSERT INTO "predictions" VALUES(2,45,1,1,5.23050725460052490234e-01);
INSERT INTO "predictions" VALUES(2,66,0,1,5.23039102554321289062e-01);
INSERT INTO "predictions" VALUES(2,73,1,1,5.23039340972900390625e-01);
INSERT INTO "predictions" VALUES(2,78,0,1,5.23044943809509277343e-01);
INSERT INTO "predictions" VALUES(2,92,1,1,5.23048281669616699218e-01);
INSERT INTO "predictions" VALUES(2,115,1,1,5.23044943809509277343e-01);
INSERT INTO "predictions" VALUES(2,120,1,1,5.23040115833282470703e-01);
INSERT INTO "predictions" VALUES(2,124,1,1,5.23045897483825683593e-01);
INSERT INTO "predictions" VALUES(2,130,0,1,5.23042976856231689453e-01);
INSERT INTO "predictions" VALUES(2,145,1,1,5.23045897483825683593e-01);
INSERT INTO "predictions" VALUES(2,152,0,1,5.23042976856231689453e-01);
INSERT INTO "predictions" VALUES(2,160,0,1,5.23039340972900390625e-01);
INSERT INTO "predictions" VALUES(2,164,1,1,5.23039340972900390625e-01);
INSERT INTO "predictions" VALUES(2,171,1,1,5.23044943809509277343e-01);
INSERT INTO "predictions" VALUES(2,172,1,1,5.23045897483825683593e-01);
INSERT INTO "predictions" VALUES(2,173,1,1,5.23052096366882324218e-01);
INSERT INTO "predictions" VALUES(2,190,1,1,5.23048281669616699218e-01);
INSERT INTO "predictions" VALUES(2,214,0,1,5.2303981781005859375e-01);
INSERT INTO "predictions" VALUES(2,223,0,1,5.23042976856231689453e-01);
INSERT INTO "predictions" VALUES(2,239,0,1,5.2303981781005859375e-01);
INSERT INTO "predictions" VALUES(3,2,0,1,5.27908086776733398437e-01);
INSERT INTO "predictions" VALUES(3,31,0,1,5.27909398078918457031e-01);
INSERT INTO "predictions" VALUES(3,37,1,1,5.27908086776733398437e-01);
INSERT INTO "predictions" VALUES(3,42,0,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,45,1,1,5.27909398078918457031e-01);
INSERT INTO "predictions" VALUES(3,66,0,1,5.27908086776733398437e-01);
INSERT INTO "predictions" VALUES(3,73,1,1,5.27909874916076660156e-01);
INSERT INTO "predictions" VALUES(3,78,0,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,92,1,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,115,1,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,120,1,1,5.27908086776733398437e-01);
INSERT INTO "predictions" VALUES(3,124,1,1,5.27909874916076660156e-01);
INSERT INTO "predictions" VALUES(3,130,0,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,145,1,1,5.27909874916076660156e-01);
INSERT INTO "predictions" VALUES(3,152,0,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,160,0,1,5.27909874916076660156e-01);
INSERT INTO "predictions" VALUES(3,164,1,1,5.27909874916076660156e-01);
INSERT INTO "predictions" VALUES(3,171,1,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,172,1,1,5.27909874916076660156e-01);
INSERT INTO "predictions" VALUES(3,173,1,1,5.27909398078918457031e-01);
INSERT INTO "predictions" VALUES(3,190,1,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,214,0,1,5.27909874916076660156e-01);
INSERT INTO "predictions" VALUES(3,223,0,1,5.27905106544494628906e-01);
INSERT INTO "predictions" VALUES(3,239,0,1,5.27909874916076660156e-01);
INSERT INTO "predictions" VALUES(4,2,0,1,5.23174226284027099609e-01);
INSERT INTO "predictions" VALUES(4,31,0,1,0.523167610168457);
INSERT INTO "predictions" VALUES(4,37,1,1,5.23174226284027099609e-01);
INSERT INTO "predictions" VALUES(4,42,0,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,45,1,1,0.523167610168457);
INSERT INTO "predictions" VALUES(4,66,0,1,5.23174226284027099609e-01);
INSERT INTO "predictions" VALUES(4,73,1,1,5.23165524005889892578e-01);
INSERT INTO "predictions" VALUES(4,78,0,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,92,1,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,115,1,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,120,1,1,5.23174226284027099609e-01);
INSERT INTO "predictions" VALUES(4,124,1,1,5.23165524005889892578e-01);
INSERT INTO "predictions" VALUES(4,130,0,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,145,1,1,5.23165524005889892578e-01);
INSERT INTO "predictions" VALUES(4,152,0,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,160,0,1,5.23165524005889892578e-01);
INSERT INTO "predictions" VALUES(4,164,1,1,5.23165524005889892578e-01);
INSERT INTO "predictions" VALUES(4,171,1,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,172,1,1,5.23165524005889892578e-01);
INSERT INTO "predictions" VALUES(4,173,1,1,0.523167610168457);
INSERT INTO "predictions" VALUES(4,190,1,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,214,0,1,5.23165524005889892578e-01);
INSERT INTO "predictions" VALUES(4,223,0,1,5.23174703121185302734e-01);
INSERT INTO "predictions" VALUES(4,239,0,1,5.23165524005889892578e-01);
INSERT INTO "predictions" VALUES(5,2,0,1,5.27832925319671630859e-01);
INSERT INTO "predictions" VALUES(5,31,0,1,5.27832925319671630859e-01);
INSERT INTO "predictions" VALUES(5,37,1,1,5.27845978736877441406e-01);
INSERT INTO "predictions" VALUES(5,42,0,1,5.27850747108459472656e-01);
INSERT INTO "predictions" VALUES(5,45,1,1,5.27845978736877441406e-01);
INSERT INTO "predictions" VALUES(5,66,0,1,5.27832925319671630859e-01);
INSERT INTO "predictions" VALUES(5,73,1,1,5.27850747108459472656e-01);
INSERT INTO "predictions" VALUES(5,78,0,1,5.27850747108459472656e-01);
INSERT INTO "predictions" VALUES(5,92,1,1,5.27845978736877441406e-01);
INSERT INTO "predictions" VALUES(5,115,1,1,5.27850747108459472656e-01);
INSERT INTO "predictions" VALUES(5,120,1,1,5.27850747108459472656e-01);
INSERT INTO "predictions" VALUES(5,124,1,1,5.27845978736877441406e-01);
INSERT INTO "predictions" VALUES(5,130,0,1,5.27832925319671630859e-01);
INSERT INTO "predictions" VALUES(5,145,1,1,5.27845978736877441406e-01);
INSERT INTO "predictions" VALUES(5,152,0,1,5.27832925319671630859e-01);
INSERT INTO "predictions" VALUES(5,160,0,1,5.27850747108459472656e-01);
INSERT INTO "predictions" VALUES(5,164,1,1,5.27850747108459472656e-01);
INSERT INTO "predictions" VALUES(5,171,1,1,5.27850747108459472656e-01);
INSERT INTO "predictions" VALUES(5,172,1,1,5.27845978736877441406e-01);
INSERT INTO "predictions" VALUES(5,173,1,1,5.27867794036865234375e-01);
INSERT INTO "predictions" VALUES(5,190,1,1,5.27845978736877441406e-01);
INSERT INTO "predictions" VALUES(5,214,0,1,5.27832925319671630859e-01);
INSERT INTO "predictions" VALUES(5,223,0,1,5.27832925319671630859e-01);
INSERT INTO "predictions" VALUES(5,239,0,1,5.27832925319671630859e-01);
INSERT INTO "predictions" VALUES(6,2,0,0,5.04328906536102294921e-01);
INSERT INTO "predictions" VALUES(6,31,0,0,5.04328906536102294921e-01);
INSERT INTO "predictions" VALUES(6,37,1,1,6.06327772140502929687e-01);
INSERT INTO "predictions" VALUES(6,42,0,0,5.04726409912109375e-01);
INSERT INTO "predictions" VALUES(6,45,1,1,6.06327772140502929687e-01);
INSERT INTO "predictions" VALUES(6,66,0,0,5.04328906536102294921e-01);
INSERT INTO "predictions" VALUES(6,73,1,0,5.04726409912109375e-01);
INSERT INTO "predictions" VALUES(6,78,0,0,5.04726409912109375e-01);
INSERT INTO "predictions" VALUES(6,92,1,1,6.06327772140502929687e-01);
INSERT INTO "predictions" VALUES(6,115,1,0,5.04726409912109375e-01);
INSERT INTO "predictions" VALUES(6,120,1,0,5.04726409912109375e-01);
INSERT INTO "predictions" VALUES(6,124,1,1,6.06327772140502929687e-01);
INSERT INTO "predictions" VALUES(6,130,0,0,5.04328906536102294921e-01);
INSERT INTO "predictions" VALUES(6,145,1,1,6.06327772140502929687e-01);
INSERT INTO "predictions" VALUES(6,152,0,0,5.04328906536102294921e-01);
INSERT INTO "predictions" VALUES(6,160,0,0,5.04726409912109375e-01);
INSERT INTO "predictions" VALUES(6,164,1,0,5.04726409912109375e-01);
INSERT INTO "predictions" VALUES(6,171,1,0,5.04726409912109375e-01);
INSERT INTO "predictions" VALUES(6,172,1,1,6.06327772140502929687e-01);
INSERT INTO "predictions" VALUES(6,173,1,1,6.09658181667327880859e-01);
INSERT INTO "predictions" VALUES(6,190,1,1,6.06327772140502929687e-01);
INSERT INTO "predictions" VALUES(6,214,0,0,5.04328906536102294921e-01);
INSERT INTO "predictions" VALUES(6,223,0,0,5.04328906536102294921e-01);
INSERT INTO "predictions" VALUES(6,239,0,0,5.04328906536102294921e-01);
INSERT INTO "predictions" VALUES(7,2,0,1,5.25474965572357177734e-01);
INSERT INTO "predictions" VALUES(7,31,0,1,5.25490224361419677734e-01);
INSERT INTO "predictions" VALUES(7,37,1,1,5.25490224361419677734e-01);
INSERT INTO "predictions" VALUES(7,42,0,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,45,1,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,66,0,1,5.25474965572357177734e-01);
INSERT INTO "predictions" VALUES(7,73,1,1,5.25482594966888427734e-01);
INSERT INTO "predictions" VALUES(7,78,0,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,92,1,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,115,1,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,120,1,1,5.25482594966888427734e-01);
INSERT INTO "predictions" VALUES(7,124,1,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,130,0,1,5.25490224361419677734e-01);
INSERT INTO "predictions" VALUES(7,145,1,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,152,0,1,5.25490224361419677734e-01);
INSERT INTO "predictions" VALUES(7,160,0,1,5.25482594966888427734e-01);
INSERT INTO "predictions" VALUES(7,164,1,1,5.25482594966888427734e-01);
INSERT INTO "predictions" VALUES(7,171,1,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,172,1,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,173,1,1,5.25505483150482177734e-01);
INSERT INTO "predictions" VALUES(7,190,1,1,5.25497853755950927734e-01);
INSERT INTO "predictions" VALUES(7,214,0,1,5.25482594966888427734e-01);
INSERT INTO "predictions" VALUES(7,223,0,1,5.25490224361419677734e-01);
INSERT INTO "predictions" VALUES(7,239,0,1,5.25482594966888427734e-01);
CREATE TABLE probabilities (
    job_id   INTEGER PRIMARY KEY REFERENCES jobs (id),
    rows     INTEGER NOT NULL,
    classes  INTEGER NOT NULL,
    data     BLOB NOT NULL
);
INSERT INTO "probabilities" VALUES(1,24,2,X'789CAB68AF2009DE52BDA97653ED86FA0D75100B44DF5007D1100C93BBAE01E3010017752FD1');
INSERT INTO "probabilities" VALUES(2,24,2,X'789CAB6AAD22094A3D957C0681524F616C6C621051A9A70005B72FD1');
INSERT INTO "probabilities" VALUES(3,24,2,X'789CAB68AF2009DE56B9A57A5B05424258C8BC5BAAC82408030017A42FD1');
INSERT INTO "probabilities" VALUES(4,24,2,X'789CAB6AAD22090ABE230D020004EF2FD1');
INSERT INTO "probabilities" VALUES(5,24,2,X'789CAB68AF2009DE5700C17B8A101244434898388477570926020018052FD1');
INSERT INTO "probabilities" VALUES(6,24,2,X'789C6BAC6BAC4B990DC18D75301A5904C44A9E03E3493F917E72DCC2F4D4710BE927A6A74034840489424440BCB742201E0802000BF42FD1');
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
    classes            TEXT NOT NULL           -- JSON array of names, in order of their index
);
INSERT INTO "results" VALUES(1,1,1,15682,0.10642107,0.113679262,145162240,'cpu avx512',1,1,'e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6','{"absent_classes":[],"data_sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","example_text":"energy very high, tempo high","leaks":[{"kind":"features","part":"validation","rows":1,"share":0.041666666666666664},{"kind":"features","part":"test","rows":0,"share":0.0},{"kind":"text","part":"validation","rows":24,"share":1.0},{"kind":"text","part":"test","rows":24,"share":1.0}],"longest_text_tokens":9,"mean_tokens":8.008333333333333,"test_rows":24,"train_rows":192,"truncated_texts":0,"validation_rows":24,"vocabulary_size":281}','["funk","punk"]');
INSERT INTO "results" VALUES(2,1,1,15682,5.60685339999999962645e-02,0.075490039,144961536,'cpu avx512',1,1,'e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6','{"absent_classes":[],"data_sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","example_text":"energy very high, tempo high","leaks":[{"kind":"features","part":"validation","rows":1,"share":0.041666666666666664},{"kind":"features","part":"test","rows":0,"share":0.0},{"kind":"text","part":"validation","rows":24,"share":1.0},{"kind":"text","part":"test","rows":24,"share":1.0}],"longest_text_tokens":9,"mean_tokens":8.008333333333333,"test_rows":24,"train_rows":192,"truncated_texts":0,"validation_rows":24,"vocabulary_size":281}','["funk","punk"]');
INSERT INTO "results" VALUES(3,1,1,15602,0.035534542,0.045772366,145145856,'cpu avx512',1,1,'e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6','{"absent_classes":[],"data_sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","example_text":"tempo high","leaks":[{"kind":"features","part":"validation","rows":20,"share":0.8333333333333334},{"kind":"features","part":"test","rows":18,"share":0.75},{"kind":"text","part":"validation","rows":24,"share":1.0},{"kind":"text","part":"test","rows":24,"share":1.0}],"longest_text_tokens":5,"mean_tokens":4.504166666666666,"test_rows":24,"train_rows":192,"truncated_texts":0,"validation_rows":24,"vocabulary_size":276}','["funk","punk"]');
INSERT INTO "results" VALUES(4,1,1,15602,3.80120310000000086181e-02,0.04482958,145244160,'cpu avx512',1,1,'e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6','{"absent_classes":[],"data_sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","example_text":"tempo high","leaks":[{"kind":"features","part":"validation","rows":20,"share":0.8333333333333334},{"kind":"features","part":"test","rows":18,"share":0.75},{"kind":"text","part":"validation","rows":24,"share":1.0},{"kind":"text","part":"test","rows":24,"share":1.0}],"longest_text_tokens":5,"mean_tokens":4.504166666666666,"test_rows":24,"train_rows":192,"truncated_texts":0,"validation_rows":24,"vocabulary_size":276}','["funk","punk"]');
INSERT INTO "results" VALUES(5,1,1,15602,0.048569825,0.075544801,145399808,'cpu avx512',1,1,'e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6','{"absent_classes":[],"data_sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","example_text":"energy very high","leaks":[{"kind":"features","part":"validation","rows":23,"share":0.9583333333333334},{"kind":"features","part":"test","rows":20,"share":0.8333333333333334},{"kind":"text","part":"validation","rows":24,"share":1.0},{"kind":"text","part":"test","rows":24,"share":1.0}],"longest_text_tokens":5,"mean_tokens":4.504166666666666,"test_rows":24,"train_rows":192,"truncated_texts":0,"validation_rows":24,"vocabulary_size":276}','["funk","punk"]');
INSERT INTO "results" VALUES(6,1,8,15602,0.088264756,0.090190047,145588224,'cpu avx512',1,0,'e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6','{"absent_classes":[],"data_sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","example_text":"energy very high","leaks":[{"kind":"features","part":"validation","rows":23,"share":0.9583333333333334},{"kind":"features","part":"test","rows":20,"share":0.8333333333333334},{"kind":"text","part":"validation","rows":24,"share":1.0},{"kind":"text","part":"test","rows":24,"share":1.0}],"longest_text_tokens":5,"mean_tokens":4.504166666666666,"test_rows":24,"train_rows":192,"truncated_texts":0,"validation_rows":24,"vocabulary_size":276}','["funk","punk"]');
INSERT INTO "results" VALUES(7,0,0,31364,0.0,0.0,0,'cpu avx512',1,1,'e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6','{"absent_classes":[],"data_sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","example_text":"energy very high, tempo high","leaks":[{"kind":"features","part":"validation","rows":1,"share":0.041666666666666664},{"kind":"features","part":"test","rows":0,"share":0.0},{"kind":"text","part":"validation","rows":24,"share":1.0},{"kind":"text","part":"test","rows":24,"share":1.0}],"longest_text_tokens":9,"mean_tokens":8.008333333333333,"test_rows":24,"train_rows":192,"truncated_texts":0,"validation_rows":24,"vocabulary_size":281}','["funk","punk"]');
INSERT INTO "results" VALUES(8,1,0,0,0.012604545,0.012604545,2953216,'cpu',1,0,'','{"absent_classes":[],"data_sha256":"","example_text":"","leaks":[],"longest_text_tokens":0,"mean_tokens":0.0,"test_rows":0,"train_rows":0,"truncated_texts":0,"validation_rows":0,"vocabulary_size":0}','[]');
INSERT INTO "results" VALUES(9,1,0,0,0.012119768,0.012119768,2965504,'cpu',1,0,'','{"absent_classes":[],"data_sha256":"","example_text":"","leaks":[],"longest_text_tokens":0,"mean_tokens":0.0,"test_rows":0,"train_rows":0,"truncated_texts":0,"validation_rows":0,"vocabulary_size":0}','[]');
INSERT INTO "results" VALUES(10,1,0,0,0.003922896,0.003922896,4009984,'cpu',1,0,'','{"absent_classes":[],"data_sha256":"","example_text":"","leaks":[],"longest_text_tokens":0,"mean_tokens":0.0,"test_rows":0,"train_rows":0,"truncated_texts":0,"validation_rows":0,"vocabulary_size":0}','[]');
INSERT INTO "results" VALUES(11,1,0,0,0.010149682,0.010149682,4030464,'cpu',1,0,'','{"absent_classes":[],"data_sha256":"","example_text":"","leaks":[],"longest_text_tokens":0,"mean_tokens":0.0,"test_rows":0,"train_rows":0,"truncated_texts":0,"validation_rows":0,"vocabulary_size":0}','[]');
CREATE TABLE stage_metrics (
    stage_id      INTEGER NOT NULL REFERENCES stages (id),
    position      INTEGER NOT NULL,
    name          TEXT NOT NULL,
    goal          TEXT NOT NULL CHECK (goal IN ('max', 'min')),
    PRIMARY KEY (stage_id, name)
) WITHOUT ROWID;
INSERT INTO "stage_metrics" VALUES(2,1,'cost','min');
INSERT INTO "stage_metrics" VALUES(2,0,'score','max');
CREATE TABLE stages (
    id              INTEGER PRIMARY KEY,
    study_id        INTEGER NOT NULL REFERENCES studies (id),
    position        INTEGER NOT NULL,          -- order in the study
    name            TEXT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('search', 'ablation')),
    select_by       TEXT NOT NULL,             -- validation metric that picks this stage's baseline
    UNIQUE (study_id, name)
);
INSERT INTO "stages" VALUES(1,1,0,'ablation','ablation','macro_f1');
INSERT INTO "stages" VALUES(2,2,0,'ablation','ablation','score');
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
INSERT INTO "studies" VALUES(1,'small','/lab/t.toml','[study]
name = "small"
seeds = [1, 2]
[data]
path = "d.csv"
features = ["energy", "tempo"]
label = "genre"
text.quantiles = 4
[tokenizer]
vocabulary_size = 300
[model]
hidden_size = 16
num_hidden_layers = 1
intermediate_size = 16
[train]
epochs = 8
learning_rate = 0.003
[[ablation]]
leave_one_out = "data.features"
[[ensemble]]
name = "both seeds"
members = ["baseline"]
across_seeds = true
','finished',0,'none',3,'2026-12-01T13:17:58.609Z','2026-12-01T13:17:59.406Z');
INSERT INTO "studies" VALUES(2,'commands','/lab/c.toml','[study]
name = "commands"
seeds = [1, 2]
[command]
run = ["sh", "c.sh", "{x}"]
files = ["c.sh"]
metrics = ["score", { name = "cost", goal = "min" }]
[parameters]
x = 1
[[ablation]]
name = "more"
set = { "parameters.x" = 2 }
','finished',0,'none',3,'2026-12-01T13:17:59.711Z','2026-12-01T13:17:59.806Z');
CREATE TABLE variant_jobs (
    variant_id           INTEGER NOT NULL REFERENCES variants (id),
    job_id               INTEGER NOT NULL REFERENCES jobs (id),
    seed_index           INTEGER NOT NULL,     -- 0-based; equal indices of two variants are paired
    initialization_seed  INTEGER NOT NULL,
    data_order_seed      INTEGER NOT NULL,
    PRIMARY KEY (variant_id, seed_index)
) WITHOUT ROWID;
INSERT INTO "variant_jobs" VALUES(1,1,0,1,1);
INSERT INTO "variant_jobs" VALUES(1,2,1,2,2);
INSERT INTO "variant_jobs" VALUES(2,3,0,1,1);
INSERT INTO "variant_jobs" VALUES(2,4,1,2,2);
INSERT INTO "variant_jobs" VALUES(3,5,0,1,1);
INSERT INTO "variant_jobs" VALUES(3,6,1,2,2);
INSERT INTO "variant_jobs" VALUES(4,7,-1,1,1);
INSERT INTO "variant_jobs" VALUES(5,8,0,1,1);
INSERT INTO "variant_jobs" VALUES(5,9,1,2,2);
INSERT INTO "variant_jobs" VALUES(6,10,0,1,1);
INSERT INTO "variant_jobs" VALUES(6,11,1,2,2);
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
INSERT INTO "variants" VALUES(1,1,0,'baseline','as the file says',1,'{"data":{"classes":[],"features":["energy","tempo"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":0,"initialization":0},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}',0,0);
INSERT INTO "variants" VALUES(2,1,1,'without energy','data.features without energy',0,'{"data":{"classes":[],"features":["tempo"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":0,"initialization":0},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}',0,0);
INSERT INTO "variants" VALUES(3,1,2,'without tempo','data.features without tempo',0,'{"data":{"classes":[],"features":["energy"],"label":"genre","max_rows":0,"sha256":"e67a8f2c5ff84f03afd907ebe38ddb67caef752c9a0961583a42690703d350b6","split":{"fold":0,"folds":0,"group_by":[],"seed":0,"stratify":true,"test":0.1,"train":0.8,"validation":0.1},"text":{"decimals":2,"form":"quantile_words","quantiles":4}},"model":{"attention_head_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"attention_probs_dropout_prob":0.1,"classifier_dropout":0.1,"classifier_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"feed_forward_mask":{"choice":"random","seed":0,"share":0.0,"units":[]},"fused_layers":[],"head_activation":"relu","head_width":64,"hidden_dropout_prob":0.1,"hidden_size":16,"initializer_range":0.02,"intermediate_size":16,"kept_layers":[],"layer_fusion":"last","layer_norm_eps":1e-05,"max_position_embeddings":514,"model_type":"roberta","num_attention_heads":2,"num_hidden_layers":1,"pooling":"cls","position_embeddings":"learned","pretrained_sha256":"","window_pooling":"mean"},"numerics_version":3,"seed":{"data_order":0,"initialization":0},"tokenizer":{"kind":"byte_level_bpe","max_length":128,"vocabulary_sha256":"","vocabulary_size":300,"window_length":0,"window_stride":0},"train":{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":32,"class_weights":"equal","decay_biases_and_norms":false,"deterministic":true,"early_stopping_patience":0,"epoch_selection":"best_validation_macro_f1","epochs":8,"frozen_embeddings":false,"frozen_layers":0,"label_smoothing":0.0,"learning_rate":0.003,"learning_rate_schedule":"linear","max_grad_norm":1.0,"optimizer":"adamw","precision":"bf16","warmup_ratio":0.06,"weight_decay":0.01}}',0,0);
INSERT INTO "variants" VALUES(4,1,3,'both seeds','mean of baseline, over seeds',0,'{"ensemble":"mean of baseline, over seeds","runs":1}',0,1);
INSERT INTO "variants" VALUES(5,2,0,'baseline','as the file says',1,'{"command":{"files":[{"name":"c.sh","sha256":"de88a12c6260ae8fe87bd667da211f726a70fcae77d03c9791faf7e8eb668c57"}],"parameters":{"x":1},"run":["sh","c.sh","{x}"]},"seed":{"data_order":0,"initialization":0}}',0,0);
INSERT INTO "variants" VALUES(6,2,1,'more','parameters.x = 2',0,'{"command":{"files":[{"name":"c.sh","sha256":"de88a12c6260ae8fe87bd667da211f726a70fcae77d03c9791faf7e8eb668c57"}],"parameters":{"x":2},"run":["sh","c.sh","{x}"]},"seed":{"data_order":0,"initialization":0}}',0,0);
CREATE TABLE workers (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    host          TEXT NOT NULL,
    process_id    INTEGER NOT NULL,
    ranks         INTEGER NOT NULL,
    device_class  TEXT NOT NULL,
    log_file      TEXT NOT NULL,
    connected_at  TEXT NOT NULL,
    left_at       TEXT,
    left_why      TEXT NOT NULL DEFAULT ''
);
INSERT INTO "workers" VALUES(1,'local-1','lab-1',20450,1,'cpu','/lab/old.db.d/logs/local-1.log','2026-12-01T13:17:58.642Z','2026-12-01T13:17:59.622Z','left: retired');
INSERT INTO "workers" VALUES(2,'local-2','lab-1',20451,1,'cpu','/lab/old.db.d/logs/local-2.log','2026-12-01T13:17:58.662Z','2026-12-01T13:17:59.622Z','left: retired');
INSERT INTO "workers" VALUES(3,'local-102','lab-1',20461,1,'cpu','/lab/old.db.d/logs/local-102.log','2026-12-01T13:17:59.754Z','2026-12-01T13:17:59.914Z','left: retired');
INSERT INTO "workers" VALUES(4,'local-101','lab-1',20460,1,'cpu','/lab/old.db.d/logs/local-101.log','2026-12-01T13:17:59.758Z','2026-12-01T13:17:59.914Z','left: retired');
CREATE INDEX variants_by_stage ON variants (stage_id, is_baseline, hidden, position);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX variant_jobs_by_job ON variant_jobs (job_id);
COMMIT;
