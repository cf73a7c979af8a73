// Tell Slack of every server-side error
//
// A message for each response with status 500; its text is the whole entry.
//
// env: SLACK_WEBHOOK (an incoming webhook's URL)

function onItemCaptured(data) {
  if (data.response.status === 500)
    vendor.slack(
      env.SLACK_WEBHOOK,      // Webhook URL
      "Server-side Error",    // Pretext (title)
      JSON.stringify(data),   // Message text
      "#ff0000"               // Color code of the message
    );
}
