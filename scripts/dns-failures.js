// Say which names cannot be resolved
//
// Every minute, a line on the console for each name and the code that was answered in place of an address.
//
// env: nothing

var failures = {};

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "dns" || data.response.code === "No Error") return;
    data.request.questions.forEach(function (question) {
        var key = question.name + " (" + question.type + "): " + data.response.code;
        failures[key] = (failures[key] || 0) + 1;
    });
}

jobs.schedule("dns-failures", "0 * * * * *", function () {
    Object.keys(failures).sort().forEach(function (key) {
        console.log(failures[key] + " x " + key);
    });
    failures = {};
});
