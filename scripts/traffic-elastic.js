// Index traffic in Elasticsearch
//
// Entries that match ELASTIC_KFL, gathered and indexed every ten seconds. Whatever Elasticsearch does not take is tried
// once more; of what comes meanwhile the newest 5000 are kept.
//
// env: ELASTIC_URL, ELASTIC_INDEX (kubeshark unless given)
//      ELASTIC_API_KEY, or ELASTIC_USERNAME and ELASTIC_PASSWORD
//      ELASTIC_KFL (all entries unless given)

if (!env.ELASTIC_URL) throw new Error("traffic-elastic.js needs ELASTIC_URL in env");

var MOST = 5000;
var documents = [];

/** @param {Item} data */
function onItemCaptured(data) {
    if (!kfl.match(env.ELASTIC_KFL || "", data)) return;
    if (documents.length === MOST) documents.shift();
    documents.push({
        "@timestamp": data.startTime,
        id: data.id,
        node: data.node,
        protocol: data.protocol.name,
        src: data.src,
        dst: data.dst,
        elapsedTime: data.elapsedTime,
        request: data.request,
        response: data.response
    });
}

jobs.schedule("traffic-elastic", "*/10 * * * * *", function () {
    if (documents.length === 0) return;
    var batch = documents;
    documents = [];
    try {
        vendor.elastic(env.ELASTIC_URL, env.ELASTIC_INDEX || "kubeshark", batch,
            env.ELASTIC_USERNAME, env.ELASTIC_PASSWORD, "", env.ELASTIC_API_KEY);
    } catch (error) {
        console.error("Not indexed yet: " + error);
        documents = batch.concat(documents).slice(-MOST);
    }
});
