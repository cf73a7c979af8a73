// Who talks most, in the whole cluster
//
// Every minute each node reports the bytes of each pair of addresses to the hub, which adds them up and prints the ten
// largest, five seconds after the first report.
//
// env: nothing

var MOST_PAIRS = 10000;
var pairs = {};
var known = 0;

/** @param {Item} data */
function onItemCaptured(data) {
    var pair = (data.src.name || data.src.ip) + " -> " + (data.dst.name || data.dst.ip);
    if (pairs[pair] === undefined) {
        if (known === MOST_PAIRS) return;
        known++;
        pairs[pair] = 0;
    }
    pairs[pair] += data.requestSize + data.responseSize;
}

jobs.schedule("top-talkers", "0 * * * * *", function () {
    if (utils.nodeName() === "hub") return;
    hub.action("top-talkers", pairs);
    pairs = {};
    known = 0;
});

// At the hub: what the nodes have reported in this minute.
var reported = null;

function onHubAction(action, object) {
    if (action !== "top-talkers") return;
    if (!reported) {
        reported = {};
        setTimeout(print, 5000);
    }
    reported = wrapper.joinMaps(reported, object);
}

function print() {
    var all = reported;
    reported = null;
    Object.keys(all).sort(function (a, b) { return all[b] - all[a]; }).slice(0, 10).forEach(function (pair) {
        console.log(pair + ": " + all[pair] + " bytes");
    });
}
