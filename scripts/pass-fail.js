// Colour entries by their status
//
// Whoever watches sees responses with status 500 as failed and all others as passed.
//
// env: nothing

function onItemQueried(data) {
  if (data.response.status === 500)
    return test.fail(data);
  else
    return test.pass(data);
}
