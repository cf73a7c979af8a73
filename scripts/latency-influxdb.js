// Traffic of each service to InfluxDB
//
// Every minute one point for each service: requests, errors, mean and longest latency, bytes.
//
// env: INFLUXDB_URL, INFLUXDB_TOKEN, INFLUXDB_BUCKET
//      INFLUXDB_ORGANIZATION (of version 2; for version 1, the token is user:password and the bucket a database)

if (!env.INFLUXDB_URL || !env.INFLUXDB_BUCKET)
    throw new Error("latency-influxdb.js needs INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_BUCKET in env");

var services = {};

/** @param {Item} data */
function onItemCaptured(data) {
    var name = data.dst.name || data.dst.ip;
    var key = data.protocol.name + " " + name;
    var service = services[key];
    if (!service)
        service = services[key] = {
            tags: { node: data.node.name, protocol: data.protocol.name, service: name },
            requests: 0, errors: 0, total: 0, longest: 0, bytes: 0
        };
    service.requests++;
    if (data.response.status >= 500) service.errors++;
    service.total += data.elapsedTime;
    service.longest = Math.max(service.longest, data.elapsedTime);
    service.bytes += data.requestSize + data.responseSize;
}

jobs.schedule("latency-influxdb", "0 * * * * *", function () {
    for (var key in services) {
        var service = services[key];
        vendor.influxdb(env.INFLUXDB_URL, env.INFLUXDB_TOKEN, env.INFLUXDB_ORGANIZATION, env.INFLUXDB_BUCKET, "kubeshark", {
            requests: service.requests,
            errors: service.errors,
            latency_mean: service.total / service.requests,
            latency_max: service.longest,
            bytes: service.bytes
        }, service.tags);
    }
    services = {};
});
