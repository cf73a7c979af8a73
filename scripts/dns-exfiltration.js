// Detect data that leaves in names of DNS
//
// Who smuggles data out in questions asks for many long names under one domain. Every minute, a message to Slack for
// each client and domain with more than DNS_NAMES different names, or with DNS_BYTES of them.
//
// env: SLACK_WEBHOOK
//      DNS_NAMES (50 unless given), DNS_BYTES (4000 unless given)

if (!env.SLACK_WEBHOOK) throw new Error("dns-exfiltration.js needs SLACK_WEBHOOK in env");

// What is remembered of a minute, so that whoever asks for names without end fills no memory.
var MOST_DOMAINS = 10000;
var domains = {};
var known = 0;

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "dns") return;
    data.request.questions.forEach(function (question) {
        var labels = question.name.split(".");
        if (labels.length < 3) return;
        var key = data.src.ip + " asks for " + labels.slice(-2).join(".");
        var domain = domains[key];
        if (!domain) {
            if (known === MOST_DOMAINS) return;
            known++;
            domain = domains[key] = { names: {}, count: 0, bytes: 0 };
        }
        if (domain.names[question.name] || domain.count >= 1000) return;
        domain.names[question.name] = true;
        domain.count++;
        domain.bytes += labels.slice(0, -2).join("").length;
    });
}

jobs.schedule("dns-exfiltration", "30 * * * * *", function () {
    var names = Number(env.DNS_NAMES || 50);
    var bytes = Number(env.DNS_BYTES || 4000);
    for (var key in domains) {
        var domain = domains[key];
        if (domain.count > names || domain.bytes > bytes)
            vendor.slack(env.SLACK_WEBHOOK, "Data may leave by DNS",
                key + ": " + domain.count + " names, " + domain.bytes + " bytes in them", "#ff8800");
    }
    domains = {};
    known = 0;
});
