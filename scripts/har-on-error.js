// What led to an error, as a HAR file in S3
//
// The last 50 HTTP entries are remembered. When a response has a status of 500 or more, they become an HTTP Archive,
// which every browser's developer tools open, and go to the bucket; not more than one each minute.
//
// env: S3_BUCKET, AWS_REGION
//      AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (without both, AWS's default chain is asked)

if (!env.S3_BUCKET || !env.AWS_REGION) throw new Error("har-on-error.js needs S3_BUCKET and AWS_REGION in env");

var REMEMBERED = 50;
var last = [];
var minute = 0;

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "http") return;
    if (last.length === REMEMBERED) last.shift();
    last.push(data);
    var now = Math.floor(Date.now() / 60000);
    if (data.response.status < 500 || now === minute) return;
    minute = now;
    var path = "error_" + data.timestamp + ".har";
    file.write(path, wrapper.buildHAR(last));
    try {
        vendor.s3.put(env.S3_BUCKET, path, env.AWS_REGION, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY);
    } finally {
        file.delete(path);
    }
}
