// Every hour's matching traffic to S3
//
// Streams whose entries match SNAPSHOT_KFL are copied; every hour one PCAP of all of them goes to the bucket. A failed
// upload is told to Slack, if there is a webhook, and the PCAP stays where it is for the next hour.
//
// env: S3_BUCKET, AWS_REGION
//      SNAPSHOT_KFL (such as: http and response.status >= 500)
//      AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (without both, AWS's default chain is asked: a role of the node or pod)
//      SLACK_WEBHOOK (optional)

if (!env.S3_BUCKET || !env.AWS_REGION) throw new Error("snapshot-s3.js needs S3_BUCKET and AWS_REGION in env");

var FOLDER = "snapshot_s3";
var streams = {};
var waiting = [];

file.mkdir(FOLDER);

/** @param {Item} data */
function onItemCaptured(data) {
    if (streams[data.stream] || !kfl.match(env.SNAPSHOT_KFL, data)) return;
    streams[data.stream] = true;
    file.copy(pcap.path(data.stream), FOLDER + "/" + data.stream);
}

jobs.schedule("snapshot-s3", "0 0 * * * *", function () {
    if (Object.keys(streams).length > 0) {
        var closed = FOLDER + "_closed";
        file.delete(closed);
        file.move(FOLDER, closed);
        file.mkdir(FOLDER);
        streams = {};
        waiting.push(pcap.snapshot([], closed));
        file.delete(closed);
    }
    while (waiting.length > 0) {
        var url = vendor.s3.put(env.S3_BUCKET, waiting[0], env.AWS_REGION, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY);
        file.delete(waiting.shift());
        console.log("Uploaded " + url);
    }
});

function onJobFailed(tag, cron, limit, err) {
    if (env.SLACK_WEBHOOK)
        vendor.slack(env.SLACK_WEBHOOK, "A snapshot waits for its upload", tag + ": " + err, "#ff8800");
}
