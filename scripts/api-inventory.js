// An inventory of APIs, in Google Cloud Storage
//
// Every hour a JSON file with each endpoint that was seen: how often, with which statuses, and how often nobody said who
// asks (neither Authorization nor Cookie). Numbers and hexadecimal ids in paths count as one.
//
// env: GCS_BUCKET, GCS_SA_KEY_JSON

if (!env.GCS_BUCKET || !env.GCS_SA_KEY_JSON)
    throw new Error("api-inventory.js needs GCS_BUCKET and GCS_SA_KEY_JSON in env");

var MOST_ENDPOINTS = 10000;
var endpoints = {};
var known = 0;

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "http") return;
    var path = data.request.path.split("/").map(function (part) {
        return /^(\d+|[0-9a-f]{8,}|[0-9a-f-]{36})$/i.test(part) ? "{id}" : part;
    }).join("/");
    var key = data.request.method + " " + (data.dst.name || data.dst.ip + ":" + data.dst.port) + path;
    var endpoint = endpoints[key];
    if (!endpoint) {
        if (known === MOST_ENDPOINTS) return;
        known++;
        endpoint = endpoints[key] = { calls: 0, anonymous: 0, statuses: {} };
    }
    endpoint.calls++;
    var headers = data.request.headers;
    if (!headers.Authorization && !headers.Cookie) endpoint.anonymous++;
    endpoint.statuses[data.response.status] = (endpoint.statuses[data.response.status] || 0) + 1;
}

jobs.schedule("api-inventory", "0 0 * * * *", function () {
    if (known === 0) return;
    var path = file.temp("apis", "", "json");
    file.write(path, JSON.stringify(endpoints));
    vendor.gcs.put(env.GCS_BUCKET, path, JSON.parse(env.GCS_SA_KEY_JSON));
    file.delete(path);
    endpoints = {};
    known = 0;
});
