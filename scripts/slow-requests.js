// Say which requests were slow
//
// A line on the console for each HTTP request that took longer than SLOW_MS, and every minute a form with the number of
// these and the worst of them to WEBHOOK_URL, if that is given.
//
// env: SLOW_MS (1000 unless given), WEBHOOK_URL (optional)

var slow = 0;
var worst = null;

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "http" || data.elapsedTime <= Number(env.SLOW_MS || 1000)) return;
    slow++;
    var line = data.request.method + " " + data.request.path + " took " + data.elapsedTime + " ms";
    console.log("slow: " + line);
    if (!worst || worst.ms < data.elapsedTime) worst = { ms: data.elapsedTime, line: line };
}

jobs.schedule("slow-requests", "0 * * * * *", function () {
    if (slow > 0 && env.WEBHOOK_URL)
        vendor.webhookForm("POST", env.WEBHOOK_URL, { node: utils.nodeName(), slow: String(slow), worst: worst.line });
    slow = 0;
    worst = null;
});
