// The packets of every error to Slack
//
// A message of a bot for each HTTP response with a status of 500 or more, with the packets of its stream attached; one
// for several errors of a stream in a row.
//
// env: SLACK_AUTH_TOKEN (of a bot with chat:write and files:write), SLACK_CHANNEL_ID

if (!env.SLACK_AUTH_TOKEN || !env.SLACK_CHANNEL_ID)
    throw new Error("error-pcap-slackbot.js needs SLACK_AUTH_TOKEN and SLACK_CHANNEL_ID in env");

var last = "";

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "http" || data.response.status < 500 || data.stream === last) return;
    last = data.stream;
    /** @type {Record<string, string>} */
    var files = {};
    files[data.stream] = pcap.path(data.stream);
    vendor.slackBot(env.SLACK_AUTH_TOKEN, env.SLACK_CHANNEL_ID, "Server-side error",
        data.request.method + " " + data.request.path + ": " + data.response.status, "#ff0000",
        { Node: data.node.name, From: data.src.name || data.src.ip, To: data.dst.name || data.dst.ip }, files);
}
