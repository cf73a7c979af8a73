// All packets that a node holds, to Azure Blob Storage
//
// At midnight (UTC) a snapshot of every packet that the node still holds is packed with the record of names and uploaded;
// and whenever somebody asks: POST /api/jobs/run with {"tag": "snapshot-azure"}.
//
// env: AZURE_CONTAINER, and AZURE_CONNECTION_STRING, or AZURE_ACCOUNT and AZURE_KEY

if (!env.AZURE_CONTAINER) throw new Error("snapshot-azure.js needs AZURE_CONTAINER in env");

jobs.schedule("snapshot-azure", "0 0 0 * * *", function () {
    var folder = file.mkdirTemp("snapshot");
    file.move(pcap.snapshot(), folder);
    file.write(folder + "/name_resolution_history.json", JSON.stringify(pcap.nameResolutionHistory()));
    var archive = file.tar(folder);
    file.delete(folder);
    var url = vendor.azure.put(env.AZURE_CONTAINER, archive, env.AZURE_ACCOUNT, env.AZURE_KEY, env.AZURE_CONNECTION_STRING);
    file.delete(archive);
    console.log("Uploaded " + url);
});
