// Post every failed request to a webhook
//
// A JSON object for each HTTP response with a status of 400 or more.
//
// env: WEBHOOK_URL
//      WEBHOOK_TOKEN (sent as a bearer token, if given)

if (!env.WEBHOOK_URL) throw new Error("error-webhook.js needs WEBHOOK_URL in env");

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "http" || data.response.status < 400) return;
    var headers = env.WEBHOOK_TOKEN ? { Authorization: "Bearer " + env.WEBHOOK_TOKEN } : {};
    vendor.webhook("POST", env.WEBHOOK_URL, {
        time: data.startTime,
        node: data.node.name,
        from: data.src.name || data.src.ip,
        to: data.dst.name || data.dst.ip,
        method: data.request.method,
        path: data.request.path,
        status: data.response.status,
        id: data.id
    }, headers);
}
