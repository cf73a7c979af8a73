// Tell Slack when a service fails too often
//
// Every minute, one message that names the services of which more than ERROR_PERCENT of the responses were 5xx.
//
// env: SLACK_WEBHOOK
//      ERROR_PERCENT (5 unless given)

if (!env.SLACK_WEBHOOK) throw new Error("error-rate-slack.js needs SLACK_WEBHOOK in env");

var services = {};

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "http") return;
    var name = data.dst.name || data.dst.ip + ":" + data.dst.port;
    var service = services[name] || (services[name] = { all: 0, failed: 0 });
    service.all++;
    if (data.response.status >= 500) service.failed++;
}

jobs.schedule("error-rate", "0 * * * * *", function () {
    var most = Number(env.ERROR_PERCENT || 5);
    var lines = [];
    for (var name in services) {
        var percent = 100 * services[name].failed / services[name].all;
        if (percent > most)
            lines.push(name + ": " + percent.toFixed(1) + " % of " + services[name].all + " responses");
    }
    services = {};
    if (lines.length > 0)
        vendor.slack(env.SLACK_WEBHOOK, "Services that fail", lines.join("\n"), "#ff0000");
});
