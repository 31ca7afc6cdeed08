BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'lab','m0001_first_layout','2026-11-24 07:13:53.294457+00:00');
CREATE TABLE "artifacts" (
   "sha256" TEXT PRIMARY KEY NOT NULL,
   "size_bytes" INTEGER NOT NULL,
   "format" TEXT NOT NULL,
   "opset" INTEGER NOT NULL,
   "ir_version" INTEGER NOT NULL,
   "parameters" INTEGER,
   "macs" INTEGER,
   "decoded_sha256" TEXT
) STRICT;
INSERT INTO "artifacts" VALUES('cb1525bced78da2c03c42fe15bf15663b584566ef6244ff91d892caa011fec1e',1000,'onnx',17,8,123,456,NULL);
CREATE TABLE "blocks" (
   "id" TEXT PRIMARY KEY NOT NULL,
   "campaign_id" TEXT NOT NULL REFERENCES "campaigns"("id"),
   "device" TEXT NOT NULL,
   "number" INTEGER NOT NULL,
   "created_utc" TEXT NOT NULL
) STRICT;
INSERT INTO "blocks" VALUES('block-1','c0ffee0123456789','board',0,'2026-11-24T07:13:53.380033Z');
CREATE TABLE "campaign_cells" (
   "campaign_id" TEXT NOT NULL REFERENCES "campaigns"("id"),
   "cell_id" TEXT NOT NULL REFERENCES "cells"("id"),
   "position" INTEGER NOT NULL,
   "technique" TEXT NOT NULL,
   "profile" TEXT NOT NULL,
   "definition" TEXT NOT NULL,
   "state" TEXT NOT NULL,
   "failure" TEXT,
   PRIMARY KEY ("campaign_id", "cell_id")
) STRICT;
INSERT INTO "campaign_cells" VALUES('c0ffee0123456789','95c348beb8c50a003291e9d0a38f5c6a4d6214046b486fc5cfd0a91e898a722a',0,'baseline','test-board','{"artifact_sha256":null,"device":"board","id":"95c348beb8c50a003291e9d0a38f5c6a4d6214046b486fc5cfd0a91e898a722a","profile_sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","protocol":{"blocks_max":3,"blocks_min":3,"budget_ns":null,"idle_ns":500000000,"inferences_min":20,"order_seed":0,"preset":"quick","sample_rate_hz":50.0,"target_ci_ratio":0.25,"warmup_ns":200000000,"window_ns":500000000},"seed":0,"settings":{"batch":1,"device_state":[],"load":{"deadline_ns":null,"kind":"back_to_back","rate_hz":null},"runtime":"onnx_runtime","threads":1},"technique":{"name":"baseline","steps":[]},"workload":"digits","workload_sha256":"7f6c7360bf24fccf4b59cf9e9a9dfc99fd6a3b085fb2260ef707a34067bb911e"}','pending',NULL);
INSERT INTO "campaign_cells" VALUES('c0ffee0123456789','3da32af3bdec78587556b8564d3e2551f7334ebf59003d91901fe1b60586627d',1,'int8','test-board','{"artifact_sha256":null,"device":"board","id":"3da32af3bdec78587556b8564d3e2551f7334ebf59003d91901fe1b60586627d","profile_sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","protocol":{"blocks_max":3,"blocks_min":3,"budget_ns":null,"idle_ns":500000000,"inferences_min":20,"order_seed":0,"preset":"quick","sample_rate_hz":50.0,"target_ci_ratio":0.25,"warmup_ns":200000000,"window_ns":500000000},"seed":0,"settings":{"batch":1,"device_state":[],"load":{"deadline_ns":null,"kind":"back_to_back","rate_hz":null},"runtime":"onnx_runtime","threads":1},"technique":{"name":"int8","steps":[{"name":"quantize_static","params":[["bits",8]]}]},"workload":"digits","workload_sha256":"7f6c7360bf24fccf4b59cf9e9a9dfc99fd6a3b085fb2260ef707a34067bb911e"}','done',NULL);
CREATE TABLE "campaigns" (
   "id" TEXT PRIMARY KEY NOT NULL,
   "name" TEXT NOT NULL,
   "owner" TEXT NOT NULL,
   "workload" TEXT NOT NULL,
   "workload_sha256" TEXT NOT NULL,
   "definition" TEXT NOT NULL,
   "source_text" TEXT NOT NULL,
   "created_utc" TEXT NOT NULL,
   "state" TEXT NOT NULL,
   "failure" TEXT
) STRICT;
INSERT INTO "campaigns" VALUES('c0ffee0123456789','first','ada@host','digits','7f6c7360bf24fccf4b59cf9e9a9dfc99fd6a3b085fb2260ef707a34067bb911e','{"constraints":{"accuracy_drop_max_ratio":null,"latency_p99_max_ns":null,"memory_max_bytes":null,"power_max_w":null},"devices":["board"],"name":"first","owner":"ada@host","protocol":{"blocks_max":3,"blocks_min":3,"budget_ns":null,"idle_ns":500000000,"inferences_min":20,"order_seed":0,"preset":"quick","sample_rate_hz":50.0,"target_ci_ratio":0.25,"warmup_ns":200000000,"window_ns":500000000},"seeds":[0],"settings":[{"batch":1,"device_state":[],"load":{"deadline_ns":null,"kind":"back_to_back","rate_hz":null},"runtime":"onnx_runtime","threads":1}],"techniques":[{"name":"baseline","steps":[]},{"name":"int8","steps":[{"name":"quantize_static","params":[["bits",8]]}]}],"workload":"digits"}','name: first','2026-11-24T07:13:53.304029Z','pending',NULL);
CREATE TABLE "cells" (
   "id" TEXT PRIMARY KEY NOT NULL,
   "device" TEXT NOT NULL,
   "workload_sha256" TEXT NOT NULL,
   "steps" TEXT NOT NULL,
   "seed" INTEGER NOT NULL,
   "profile_sha256" TEXT NOT NULL,
   "artifact_sha256" TEXT REFERENCES "artifacts"("sha256")
) STRICT;
INSERT INTO "cells" VALUES('95c348beb8c50a003291e9d0a38f5c6a4d6214046b486fc5cfd0a91e898a722a','board','7f6c7360bf24fccf4b59cf9e9a9dfc99fd6a3b085fb2260ef707a34067bb911e','[]',0,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',NULL);
INSERT INTO "cells" VALUES('3da32af3bdec78587556b8564d3e2551f7334ebf59003d91901fe1b60586627d','board','7f6c7360bf24fccf4b59cf9e9a9dfc99fd6a3b085fb2260ef707a34067bb911e','[["quantize_static",[["bits",8]]]]',0,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','cb1525bced78da2c03c42fe15bf15663b584566ef6244ff91d892caa011fec1e');
CREATE TABLE "comparisons" (
   "id" INTEGER PRIMARY KEY,
   "campaign_id" TEXT NOT NULL REFERENCES "campaigns"("id"),
   "cell_id" TEXT NOT NULL REFERENCES "cells"("id"),
   "baseline_cell_id" TEXT NOT NULL REFERENCES "cells"("id"),
   "metric" TEXT NOT NULL,
   "ratio" REAL,
   "low_ratio" REAL,
   "high_ratio" REAL,
   "n_blocks" INTEGER NOT NULL,
   "answer" TEXT NOT NULL,
   "subject" TEXT NOT NULL,
   "n_devices" INTEGER NOT NULL,
   "flags" TEXT NOT NULL,
   "created_utc" TEXT NOT NULL
) STRICT;
INSERT INTO "comparisons" VALUES(1,'c0ffee0123456789','3da32af3bdec78587556b8564d3e2551f7334ebf59003d91901fe1b60586627d','95c348beb8c50a003291e9d0a38f5c6a4d6214046b486fc5cfd0a91e898a722a','latency_p50_ns',0.5,0.45,0.55,3,'better','this artifact',1,'[]','2026-11-24T07:13:53.392714Z');
CREATE TABLE "compressions" (
   "id" INTEGER PRIMARY KEY,
   "workload_sha256" TEXT NOT NULL,
   "technique" TEXT NOT NULL,
   "steps" TEXT NOT NULL,
   "seed" INTEGER NOT NULL,
   "artifact_sha256" TEXT NOT NULL REFERENCES "artifacts"("sha256"),
   "parent_sha256" TEXT,
   "step" TEXT,
   "accuracy_ratio" REAL,
   "metric" TEXT,
   "compress_ns" INTEGER NOT NULL,
   "outcomes" TEXT NOT NULL,
   "created_utc" TEXT NOT NULL
) STRICT;
INSERT INTO "compressions" VALUES(1,'7f6c7360bf24fccf4b59cf9e9a9dfc99fd6a3b085fb2260ef707a34067bb911e','int8','[["quantize_static",[["bits",8]]]]',0,'cb1525bced78da2c03c42fe15bf15663b584566ef6244ff91d892caa011fec1e',NULL,NULL,0.975,'accuracy',5000000000,'[{"accuracy_ratio":0.975,"cache_key":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","cached":false,"duration_ns":1000000000,"macs":456,"notes":["a note"],"parameters":123,"params":[["bits",8]],"position":0,"size_bytes":1000,"step":"quantize_static"}]','2026-11-24T07:13:53.312008Z');
CREATE TABLE "device_facts" (
   "id" INTEGER PRIMARY KEY,
   "device" TEXT NOT NULL,
   "facts" TEXT NOT NULL,
   "recorded_utc" TEXT NOT NULL
) STRICT;
INSERT INTO "device_facts" VALUES(1,'board','{"agent_sha256":"0000000000000000000000000000000000000000000000000000000000000000","boot_id":"boot-1","channels":[],"cpu_count":2,"cpu_model":"Model","has_aes":false,"isa":["avx2"],"kernel":"6.1","machine":"x86_64","memory_bytes":2147483648,"model":null,"python":"3.11.7","runtimes":[["onnxruntime","1.22"]],"system":"Linux","unavailable":[]}','2026-11-24T07:13:53.300465Z');
CREATE TABLE "devices" (
   "name" TEXT PRIMARY KEY NOT NULL,
   "url" TEXT NOT NULL,
   "profile" TEXT NOT NULL,
   "python" TEXT,
   "added_utc" TEXT NOT NULL
) STRICT;
INSERT INTO "devices" VALUES('board','local','test-board',NULL,'2026-11-24T07:13:53.299918Z');
CREATE TABLE "events" (
   "id" INTEGER PRIMARY KEY,
   "campaign_id" TEXT NOT NULL REFERENCES "campaigns"("id"),
   "cell_id" TEXT,
   "device" TEXT,
   "stage" TEXT NOT NULL,
   "kind" TEXT NOT NULL,
   "message" TEXT NOT NULL,
   "utc" TEXT NOT NULL
) STRICT;
INSERT INTO "events" VALUES(1,'c0ffee0123456789',NULL,'board','connect','ConnectFailed','nobody there','2026-11-24T07:13:53.399912Z');
CREATE TABLE "results" (
   "id" INTEGER PRIMARY KEY,
   "cell_id" TEXT NOT NULL REFERENCES "cells"("id"),
   "created_utc" TEXT NOT NULL,
   "n_blocks" INTEGER NOT NULL,
   "n_inferences" INTEGER NOT NULL,
   "load" TEXT NOT NULL,
   "latency_p50_ns" TEXT,
   "latency_p90_ns" TEXT,
   "latency_p95_ns" TEXT,
   "latency_p99_ns" TEXT,
   "latency_max_ns" INTEGER,
   "throughput_hz" REAL,
   "load_ns" INTEGER,
   "first_inference_ns" INTEGER,
   "cpu_per_inference_ns" REAL,
   "memory_kind" TEXT,
   "memory_peak_bytes" INTEGER,
   "memory_delta_bytes" INTEGER,
   "deadline_misses" INTEGER,
   "idle_power_w" REAL,
   "mean_power_w" REAL,
   "energy_gross_j" TEXT,
   "energy_net_j" TEXT,
   "power_scope" TEXT,
   "power_origin" TEXT,
   "temperature_max_c" REAL,
   "flags" TEXT NOT NULL,
   "verdict" TEXT NOT NULL
) STRICT;
INSERT INTO "results" VALUES(1,'95c348beb8c50a003291e9d0a38f5c6a4d6214046b486fc5cfd0a91e898a722a','2026-11-24T07:13:53.384053Z',3,300,'{"deadline_ns":null,"kind":"back_to_back","rate_hz":null}','{"high":1600000.0,"low":1400000.0,"value":1500000.0}',NULL,NULL,'{"high":null,"low":null,"value":2000000.0}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]','valid');
INSERT INTO "results" VALUES(2,'3da32af3bdec78587556b8564d3e2551f7334ebf59003d91901fe1b60586627d','2026-11-24T07:13:53.387961Z',3,300,'{"deadline_ns":null,"kind":"back_to_back","rate_hz":null}','{"high":1600000.0,"low":1400000.0,"value":1500000.0}',NULL,NULL,'{"high":null,"low":null,"value":2000000.0}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]','valid');
CREATE TABLE "windows" (
   "id" INTEGER PRIMARY KEY,
   "block_id" TEXT NOT NULL REFERENCES "blocks"("id"),
   "attempt" INTEGER NOT NULL,
   "position" INTEGER NOT NULL,
   "kind" TEXT NOT NULL,
   "cell_id" TEXT REFERENCES "cells"("id"),
   "sha256" TEXT NOT NULL,
   "started_utc" TEXT NOT NULL,
   "inferences" INTEGER NOT NULL,
   "error" TEXT,
   "ingested_utc" TEXT NOT NULL
) STRICT;
INSERT INTO "windows" VALUES(1,'block-1',0,1,'window','95c348beb8c50a003291e9d0a38f5c6a4d6214046b486fc5cfd0a91e898a722a','318ceed2ed88e5fa06c3809308f09c49a3591557af43062aca5b3a75171f2050','2030-01-31T12:00:00Z',4,NULL,'2026-11-24T07:13:53.380033Z');
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX "idx_device_facts_device"
    ON "device_facts" ("device");
CREATE UNIQUE INDEX "idx_compressions_workload_sha256_steps_seed_artifact_sha256"
    ON "compressions" ("workload_sha256", "steps", "seed", "artifact_sha256");
CREATE INDEX "idx_compressions_artifact_sha256"
    ON "compressions" ("artifact_sha256");
CREATE INDEX "idx_campaign_cells_cell_id"
    ON "campaign_cells" ("cell_id");
CREATE UNIQUE INDEX "idx_windows_block_id_attempt_position"
    ON "windows" ("block_id", "attempt", "position");
CREATE INDEX "idx_windows_cell_id"
    ON "windows" ("cell_id");
CREATE INDEX "idx_results_cell_id"
    ON "results" ("cell_id");
CREATE INDEX "idx_comparisons_campaign_id_cell_id_metric"
    ON "comparisons" ("campaign_id", "cell_id", "metric");
CREATE INDEX "idx_events_campaign_id"
    ON "events" ("campaign_id");
CREATE VIEW "campaign_view" AS 
SELECT c.id, c.name, c.owner, c.workload, c.workload_sha256, c.created_utc, c.state, c.failure,
       count(cc.cell_id) AS cells_total,
       coalesce(sum(cc.state = 'done'), 0) AS cells_done,
       coalesce(sum(cc.state = 'failed'), 0) AS cells_failed
FROM campaigns c LEFT JOIN campaign_cells cc ON cc.campaign_id = c.id
GROUP BY c.id ORDER BY c.created_utc, c.id;
CREATE VIEW "result_view" AS 
SELECT cc.campaign_id, c.name AS campaign, cc.cell_id, cc.position, cc.technique, cells.device, cc.profile,
       json_extract(cc.definition, '$.seed') AS seed,
       json_extract(cc.definition, '$.protocol.preset') AS preset,
       cc.state, cc.failure, cells.artifact_sha256,
       a.size_bytes, a.parameters, a.macs, p.accuracy_ratio, p.metric, p.compress_ns,
       r.id AS result_id, r.verdict, r.n_blocks, r.n_inferences,
       json_extract(r.latency_p50_ns, '$.value') AS latency_p50_ns,
       json_extract(r.latency_p50_ns, '$.low') AS latency_p50_low_ns,
       json_extract(r.latency_p50_ns, '$.high') AS latency_p50_high_ns,
       json_extract(r.latency_p90_ns, '$.value') AS latency_p90_ns,
       json_extract(r.latency_p90_ns, '$.low') AS latency_p90_low_ns,
       json_extract(r.latency_p90_ns, '$.high') AS latency_p90_high_ns,
       json_extract(r.latency_p95_ns, '$.value') AS latency_p95_ns,
       json_extract(r.latency_p95_ns, '$.low') AS latency_p95_low_ns,
       json_extract(r.latency_p95_ns, '$.high') AS latency_p95_high_ns,
       json_extract(r.latency_p99_ns, '$.value') AS latency_p99_ns,
       json_extract(r.latency_p99_ns, '$.low') AS latency_p99_low_ns,
       json_extract(r.latency_p99_ns, '$.high') AS latency_p99_high_ns,
       r.latency_max_ns, r.throughput_hz, r.load_ns, r.first_inference_ns, r.cpu_per_inference_ns,
       r.memory_kind, r.memory_peak_bytes, r.memory_delta_bytes, r.deadline_misses,
       r.idle_power_w, r.mean_power_w,
       json_extract(r.energy_gross_j, '$.value') AS energy_gross_j,
       json_extract(r.energy_gross_j, '$.standard_uncertainty') AS energy_gross_standard_uncertainty_j,
       json_extract(r.energy_gross_j, '$.coverage_factor') AS energy_gross_coverage_factor,
       json_extract(r.energy_net_j, '$.value') AS energy_net_j,
       json_extract(r.energy_net_j, '$.standard_uncertainty') AS energy_net_standard_uncertainty_j,
       json_extract(r.energy_net_j, '$.coverage_factor') AS energy_net_coverage_factor,
       r.power_scope, r.power_origin, r.temperature_max_c, r.flags,
       lc.id AS latency_comparison_id, lc.ratio AS latency_ratio, lc.answer AS latency_answer,
       ec.id AS energy_comparison_id, ec.ratio AS energy_ratio, ec.answer AS energy_answer,
       (SELECT max(started_utc) FROM windows WHERE cell_id = cc.cell_id) AS measured_utc
FROM campaign_cells cc
JOIN campaigns c ON c.id = cc.campaign_id
JOIN cells ON cells.id = cc.cell_id
LEFT JOIN artifacts a ON a.sha256 = cells.artifact_sha256
LEFT JOIN compressions p ON p.artifact_sha256 = cells.artifact_sha256
      AND p.workload_sha256 = cells.workload_sha256 AND p.steps = cells.steps AND p.seed = cells.seed
LEFT JOIN results r ON r.id = (SELECT max(id) FROM results WHERE cell_id = cc.cell_id)
LEFT JOIN comparisons lc ON lc.id = (
    SELECT max(id) FROM comparisons
    WHERE campaign_id = cc.campaign_id AND cell_id = cc.cell_id AND metric = 'latency_p50_ns')
LEFT JOIN comparisons ec ON ec.id = (
    SELECT max(id) FROM comparisons
    WHERE campaign_id = cc.campaign_id AND cell_id = cc.cell_id AND metric = 'energy_gross_j')
ORDER BY c.created_utc, c.id, cc.position;
COMMIT;
