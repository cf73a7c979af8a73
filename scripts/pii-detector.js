// Detect personal data in HTTP bodies
//
// A message to Slack for each new endpoint whose requests or responses hold an e-mail address, the number of a payment
// card (by its check digit) or of an American social security card. What was found is not repeated.
//
// env: SLACK_WEBHOOK

if (!env.SLACK_WEBHOOK) throw new Error("pii-detector.js needs SLACK_WEBHOOK in env");

var MOST_BYTES = 65536;
var MOST_ENDPOINTS = 10000;
var told = {};
var count = 0;

var DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Bodies of responses come as base64.
function plain(text, encoding) {
    text = (text || "").slice(0, MOST_BYTES);
    if (encoding !== "base64") return text;
    var out = "", bits = 0, held = 0;
    for (var i = 0; i < text.length && text[i] !== "="; i++) {
        held = (held << 6 | DIGITS.indexOf(text[i])) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += String.fromCharCode(held >> bits & 0xff);
        }
    }
    return out;
}

// The check digit of ISO/IEC 7812-1, annex B.
function isCard(text) {
    var digits = text.replace(/\D/g, ""), sum = 0;
    for (var i = 0; i < digits.length; i++) {
        var digit = Number(digits[digits.length - 1 - i]) * (i % 2 + 1);
        sum += digit > 9 ? digit - 9 : digit;
    }
    return digits.length >= 13 && digits.length <= 19 && sum % 10 === 0;
}

function kinds(text) {
    var found = [];
    if (/[\w.+-]+@[\w-]+\.[a-z]{2,}/i.test(text)) found.push("an e-mail address");
    if ((text.match(/\b\d(?:[ -]?\d){12,18}\b/g) || []).some(isCard)) found.push("a payment card");
    if (/\b\d{3}-\d{2}-\d{4}\b/.test(text)) found.push("a social security number");
    return found;
}

/** @param {Item} data */
function onItemCaptured(data) {
    if (data.protocol.name !== "http") return;
    var post = data.request.postData || { text: "" };
    var content = data.response.content || { text: "", encoding: "" };
    var found = kinds(plain(post.text)).map(function (kind) { return kind + " in the request"; })
        .concat(kinds(plain(content.text, content.encoding)).map(function (kind) { return kind + " in the response"; }));
    if (found.length === 0) return;
    var endpoint = data.request.method + " " + (data.dst.name || data.dst.ip) + data.request.path;
    if (told[endpoint] || count === MOST_ENDPOINTS) return;
    told[endpoint] = true;
    count++;
    vendor.slack(env.SLACK_WEBHOOK, "Personal data", endpoint + ": " + found.join(", ") + " (" + data.id + ")", "#ff8800");
}
