// Latency percentiles for Prometheus
//
// At each worker's /metrics: how many HTTP responses each service gave by status class, and the median, the 90th and the
// 99th percentile of its latency over the last minute.
//
// env: nothing

var MOST_SAMPLES = 10000;
var samples = {};

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "http") return;
    var service = data.dst.name || data.dst.ip;
    var list = samples[service] || (samples[service] = []);
    if (list.length < MOST_SAMPLES) list.push(data.elapsedTime);
    prometheus.metric("http_responses_total", "HTTP responses.", 1, 1, {
        service: service,
        status: Math.floor(data.response.status / 100) + "xx"
    });
}

jobs.schedule("latency-prometheus", "0 * * * * *", function () {
    for (var service in samples) {
        var list = samples[service].sort(function (a, b) { return a - b; });
        [0.5, 0.9, 0.99].forEach(function (quantile) {
            var at = Math.min(list.length - 1, Math.floor(quantile * list.length));
            prometheus.vector("http_latency_ms", "Latency of HTTP in the last minute.", 2, list[at],
                { service: service, quantile: String(quantile) });
        });
    }
    samples = {};
});
