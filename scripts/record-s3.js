// Record matching streams to S3
//
// Streams whose entries match one of the queries are gathered, and every hour, or at 100000 streams, each query's are
// uploaded as kfl_<index>_kubeshark_<time>.tar.gz, with a log of all uploads beside them.
//
// env: AWS_REGION, S3_BUCKET
//      AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (without both, AWS's default chain is asked)

var KFL_PCAP_S3_KFL_ARR = [
    "http and response.status == 500",
    "dns",
];

function onItemCaptured(data) {
    wrapper.kflPcapS3(data, {
        kflArr:             KFL_PCAP_S3_KFL_ARR,
    });
}
