// Traffic as records of Amazon Kinesis
//
// A record for each entry that matches KINESIS_KFL, without its bodies.
//
// env: KINESIS_STREAM, AWS_REGION
//      AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (without both, AWS's default chain is asked)
//      KINESIS_KFL (all entries unless given)

if (!env.KINESIS_STREAM || !env.AWS_REGION)
    throw new Error("traffic-kinesis.js needs KINESIS_STREAM and AWS_REGION in env");

/** @param {Item} data */
function onItemCaptured(data) {
    if (!kfl.match(env.KINESIS_KFL || "", data)) return;
    vendor.kinesis.put(env.KINESIS_STREAM, {
        id: data.id,
        time: data.startTime,
        protocol: data.protocol.name,
        src: data.src.name || data.src.ip,
        dst: data.dst.name || data.dst.ip,
        method: data.request.method,
        path: data.request.path,
        status: data.response.status,
        elapsedTime: data.elapsedTime
    }, env.AWS_REGION, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY);
}
