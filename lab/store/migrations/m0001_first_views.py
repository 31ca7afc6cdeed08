"""The two views of the first layout: campaigns with their counts, and one flat line per cell of a campaign."""

CAMPAIGN_VIEW = """
SELECT c.id, c.name, c.owner, c.workload, c.workload_sha256, c.created_utc, c.state, c.failure,
       count(cc.cell_id) AS cells_total,
       coalesce(sum(cc.state = 'done'), 0) AS cells_done,
       coalesce(sum(cc.state = 'failed'), 0) AS cells_failed
FROM campaigns c LEFT JOIN campaign_cells cc ON cc.campaign_id = c.id
GROUP BY c.id ORDER BY c.created_utc, c.id
"""

RESULT_VIEW = """
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
ORDER BY c.created_utc, c.id, cc.position
"""
