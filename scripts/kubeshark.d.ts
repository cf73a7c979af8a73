// What scripts of Kubeshark have: for editors and for tsc. Printed by `kubeshark scripts types`; not to be edited.
//
// Beside your scripts, an editor finds it by a tsconfig.json that says
//   {"compilerOptions": {"allowJs": true, "checkJs": true, "noEmit": true, "moduleDetection": "force"}}
// Name the types of a hook's arguments in a comment above it: /** @param {Item} data */

/// <reference no-default-lib="true"/>
/// <reference lib="es2020"/>

/** A packet, as `onPacketCaptured` sees it. */
interface PacketInfo {
    /** When it was captured. */
    timestamp: Date;
    /** Bytes that were captured. */
    captureLength: number;
    /** Bytes that were on the wire. */
    length: number;
    /** Whether less was captured than was on the wire. */
    truncated: boolean;
    /** Whether it is a fragment of an IP packet. */
    fragmented: boolean;
}

/** One end of an item's connection. */
interface Endpoint {
    ip: string;
    /** In digits. */
    port: string;
    /** The name of the service or pod; empty where it is not known. */
    name: string;
    namespace: string;
    /** The Kubernetes objects, if there are any. */
    pod: any;
    endpointSlice: any;
    service: any;
}

/** One request and its response: an entry. */
interface Item {
    /** `<worker>/<stream>-<index>` */
    id: string;
    /** Its place among the entries of its stream. */
    index: number;
    /** The name of its stream, for `pcap.path`. */
    stream: string;
    /** `ip:port` */
    worker: string;
    node: { ip: string; name: string };
    protocol: {
        /** `http`, `dns` … */
        name: string;
        version: string;
        abbr: string;
        longName: string;
        macro: string;
        layer3: string;
        layer4: string;
        [more: string]: any;
    };
    tls: boolean;
    src: Endpoint;
    dst: Endpoint;
    outgoing: boolean;
    /** When the request began, in milliseconds since 1970. */
    timestamp: number;
    /** The same, in the form of RFC 3339, with nanoseconds. */
    startTime: string;
    /** By its protocol; empty where it is missing. */
    request: HttpRequest & DnsRequest & { [more: string]: any };
    /** By its protocol; empty where it is missing. */
    response: HttpResponse & DnsResponse & { [more: string]: any };
    requestSize: number;
    responseSize: number;
    /** From the request's first byte to the response's, in milliseconds. */
    elapsedTime: number;
    /** What `test.pass` sets. */
    passed: boolean;
    /** What `test.fail` sets. */
    failed: boolean;
    error: { type: number; msg: string } | null;
    entryFile: string;
    record: string;
    /** What is known to be wrong with it. */
    flags: { [flag: string]: any };
}

interface HttpRequest {
    method: string;
    url: string;
    targetUri: string;
    path: string;
    pathSegments: string[];
    httpVersion: string;
    headers: { [name: string]: any };
    cookies: { [name: string]: any };
    queryString: { [name: string]: any };
    postData?: { mimeType: string; params: any[]; text: string };
    headersSize: number;
    bodySize: number;
}

interface HttpResponse {
    status: number;
    statusText: string;
    httpVersion: string;
    headers: { [name: string]: any };
    cookies: { [name: string]: any };
    /** `text` is in base64 where `encoding` says so. */
    content: { size: number; mimeType: string; encoding: string; text: string };
    redirectURL: string;
    /** The codes of the interim responses before it. */
    interim?: number[];
    headersSize: number;
    bodySize: number;
}

interface DnsRequest {
    opCode: string;
    questions: { name: string; type: string; class: string }[];
}

interface DnsResponse {
    /** `No Error`, `Non-Existent Domain` … */
    code: string;
    answers: DnsRecord[];
    authorities: DnsRecord[];
    additionals: DnsRecord[];
}

interface DnsRecord {
    name: string;
    type: string;
    class: string;
    ttl: number;
    ip: string;
    [more: string]: any;
}

/** The variables of `scripting.env`, of `--env` and `--env-file`. They change under a script that runs. */
declare const env: { [name: string]: any };

/** Calls a function once, after so many milliseconds. */
declare function setTimeout(task: (...args: any[]) => void, ms?: number, ...args: any[]): number;
/** Calls a function again and again, at this distance in milliseconds. */
declare function setInterval(task: (...args: any[]) => void, ms?: number, ...args: any[]): number;
declare function clearTimeout(timer?: number): void;
declare function clearInterval(timer?: number): void;

/** The functions that a script may define. */
interface Hooks {
    /** A packet was captured. */
    onPacketCaptured(info: PacketInfo): void;
    /** A transaction is complete: both halves were seen, or its protocol has but one. */
    onItemCaptured(data: Item): void;
    /** An entry is about to be shown to a watcher. What is returned is shown in its place, so that `test.pass(data)`
     * and `test.fail(data)` colour it. Who takes too long is not waited for. */
    onItemQueried(data: Item): Item | void;
    /** A job of this script came to its end. */
    onJobPassed(tag: string, cron: string, limit: number): void;
    /** A job of this script threw. */
    onJobFailed(tag: string, cron: string, limit: number, err: string): void;
    /** A pod of the cluster came, changed or went. */
    onPodEvent(event: "ADDED" | "MODIFIED" | "DELETED", pod: object): void;
    /** A script called `hub.action`. Runs at the hub only. */
    onHubAction(action: string, object: any): void;
}

declare const console: {
    /** Writes a line to the console: the arguments, joined with blanks. */
    log(...args: any[]): void;
    /** Writes a line to the console, marked as an error. */
    error(...args: any[]): void;
    /** Empties the console of everyone who watches it. */
    clear(): void;
};

declare const test: {
    /** Sets `data.passed` and returns `data`: the dashboard shows the entry in green. */
    pass(data: Item): Item;
    /** Sets `data.failed` and returns `data`: the dashboard shows the entry in red. */
    fail(data: Item): Item;
};

declare const kfl: {
    /** Whether a KFL query lets an item through. The empty query lets all through, `undefined` none. Throws if the
     * query is not valid KFL; the message begins with line and column. */
    match(query: string | undefined, data: object): boolean;
    /** Whether a query is valid KFL. */
    validate(query: string): boolean;
};

declare const pcap: {
    /** Where the packets of a stream can be had, `data.stream` of an item: a path for `file.copy`. They are held for
     * some minutes only, so copy at once. */
    path(stream: string): string;
    /** Merges packets into one file, in the order of their times: those of the streams named, of the PCAP files in
     * `pcapsDir` (all of them, or the selected), or, without arguments, all that the worker holds. Streams copied
     * into the directory are complete in it. Returns its path, `<unix seconds>.pcap`: a pcap, or a pcapng where
     * packets differ in link type. */
    snapshot(selectedPcaps?: string[], pcapsDir?: string): string;
    /** Which names addresses had since when: by Unix seconds, then by `ip` or `ip:port`. The file
     * `name_resolution_history.json` has the same. */
    nameResolutionHistory(): Record<string, Record<string, { FullAddress: string, Namespace: string }>>;
};

declare const file: {
    /** Writes a file, anew if it was there. Paths are relative to the worker's data directory and cannot lead out of
     * it; an object is written as its JSON. */
    write(path: string, content: string): void;
    /** Writes to the end of a file, which is made if it was not there. */
    append(path: string, content: string): void;
    /** Moves a file, or a directory with all that is in it. Into a directory that is there, it keeps its name.
     * Copies of streams in it go on. */
    move(oldPath: string, newPath: string): void;
    /** Copies a file; into a directory that is there, under its own name. With `pcap.path(stream)` as the source,
     * the packets so far become a PCAP file, and those that come later are appended to it: it is complete when
     * `pcap.snapshot` or `file.tar` reads it. Throws if no packet of the stream is held any longer. */
    copy(srcPath: string, dstPath: string): void;
    /** Deletes a file, or a directory with all that is in it. What is not there is no error. */
    delete(path: string): void;
    /** Makes a directory, and those above it. One that is there stays as it is. */
    mkdir(path: string): void;
    /** Makes a directory that was not there, in `dir` or at the top; its name is `name` with digits behind. Returns
     * its path. */
    mkdirTemp(name?: string, dir?: string): string;
    /** Makes an empty file that was not there, in `dir`; its name is `name` with digits and the extension (`txt`
     * unless named) behind. Returns its path. */
    temp(name: string, dir: string, extension?: string): string;
    /** Packs the files of a directory, and of those in it, into `kubeshark_<unix seconds>.tar.gz`, with paths
     * relative to it. Returns its path. */
    tar(dir: string): string;
};

declare const jobs: {
    /** Calls `task` on a schedule of six fields, seconds first (`0 *​/5 * * * *`: every five minutes), in UTC;
     * five fields, `@hourly` and `@every 90s` are understood too. It runs on every node, at most `limit` times
     * there; 0 or nothing is without end. A job with the same tag is replaced. Throws if the schedule makes no
     * sense. */
    schedule(tag: string, cron: string, task: (...args: any[]) => void, limit?: number, ...args: any[]): void;
    /** Removes the jobs with this tag. */
    remove(tag: string): void;
    /** Removes all jobs of this node. */
    removeAll(): void;
    /** The tags of this node's jobs. */
    list(): string[];
    /** Runs the jobs with this tag as soon as the scripts that they belong to are free. Throws if there is none. */
    run(tag: string): void;
    /** Runs all jobs of this node as soon as the scripts that they belong to are free. */
    runAll(): void;
    scheduler: {
        /** Whether jobs run when they are due. */
        isRunning(): boolean;
        /** Lets jobs run when they are due, as from the beginning. */
        start(): void;
        /** Lets no job run, until `jobs.scheduler.start`. */
        stop(): void;
    };
};

declare const utils: {
    /** The node's name; `hub` at the hub. */
    nodeName(): string;
    /** JSON as YAML. Throws if it is no JSON. */
    json2Yaml(json: string): string;
};

declare const hub: {
    /** Calls `onHubAction` of the scripts at the hub. */
    action(action: string, object?: any): void;
    /** The pods whose traffic is captured and those that are left out, as JSON: `targets`, `excluded`. */
    targeted(): string;
};

declare const prometheus: {
    /** Makes a number readable at the node's `/metrics`: a counter (1), to which the value is added, a gauge (2) or
     * an untyped metric (3), which is set to it. Throws if there are too many, or the name is none. */
    metric(name: string, desc: string, type: 1 | 2 | 3, value: number, labels?: Record<string, string>): void;
    /** The same, for a counter or a gauge that has a series for each value of its labels. */
    vector(name: string, desc: string, type: 1 | 2, value: number, labels?: Record<string, string>): void;
};

declare const wrapper: {
    /** To be called with every item: records the streams of items that match one of the queries, and every
     * `maxMinutes` (60), or when there are `maxL4Streams` (100000), uploads those of a query to S3 as
     * `<node>_<ip>/kfl_<index>_kubeshark_<unix seconds>.tar.gz` with `content.json`, `name_resolution_history.json`
     * and `<unix seconds>.pcap`; `kflPcapS3_log_<digits>.json` beside it lists them all. Region, keys and bucket are
     * `env.AWS_REGION`, `env.AWS_ACCESS_KEY_ID`, `env.AWS_SECRET_ACCESS_KEY` and `env.S3_BUCKET` unless given;
     * without keys AWS's default chain is asked. Slack is told where a webhook, or a token and a channel, are given.
     * Uploads run beside the script; one that fails is told on the console and tried again, and the recording stays
     * on disk until it succeeds. Throws if a query or a parameter makes no sense. */
    kflPcapS3(data: Item, params: { kflArr: string[], awsRegion?: string, awsAccessKeyId?: string, awsSecretAccessKey?: string, s3Bucket?: string, slackWebhook?: string, slackAuthToken?: string, slackChannelId?: string, active?: boolean, verbose?: boolean, maxMinutes?: number, maxL4Streams?: number }): void;
    /** The same with Google Cloud Storage: the bucket is `env.GCS_BUCKET` and the service account's key
     * `env.GCS_SA_KEY_JSON` unless given; the log is `kflPcapGcs_log_<digits>.json`, with `gcs_url` in place of
     * `s3_url`. */
    kflPcapGcs(data: Item, params: { kflArr: string[], gcsBucket?: string, gcsSaKeyJson?: string | object, slackWebhook?: string, slackAuthToken?: string, slackChannelId?: string, active?: boolean, verbose?: boolean, maxMinutes?: number, maxL4Streams?: number }): void;
    /** The HTTP items of a list as an HTTP Archive 1.2, in JSON. */
    buildHAR(items: Item[]): string;
    /** A new object with the members of both: numbers under the same name are added, objects joined in the same way;
     * of anything else the second counts. */
    joinMaps(a: object, b: object): object;
};

declare const vendor: {
    /** Makes an HTTP request and returns the body of the answer. An object is sent as JSON. Throws if there is no
     * answer, or if its status is not 200 to 299. */
    webhook(method: string, url: string, body?: any, headers?: Record<string, string>): string;
    /** Sends a form (`multipart/form-data`) and returns the body of the answer. Throws as `vendor.webhook` does. */
    webhookForm(method: string, url: string, fields: Record<string, string>): string;
    /** Sends a message to a Slack channel by its incoming webhook. Throws if Slack does not take it. */
    slack(webhookUrl: string, pretext: string, text: string, color: string): void;
    /** Posts a message to a Slack channel as a bot. `fields` are shown below it, and the time always is. `files`,
     * from names to paths, go to the message's thread. The bot needs the scopes `chat:write` and `files:write`.
     * Throws if Slack does not take it, or if a file can't be read. */
    slackBot(token: string, channelID: string, pretext: string, text: string, color: string, fields?: Record<string, string>, files?: Record<string, string>): void;
    /** Writes one point to InfluxDB; `data` are its fields. For version 1 the token is `user:password`, and the
     * bucket `database` or `database/retention-policy`. Throws if InfluxDB does not take it. */
    influxdb(url: string, token: string, organization: string, bucket: string, measurement: string, data: Record<string, any>, tags?: Record<string, string>): void;
    /** Indexes a document in Elasticsearch, or an array of them in one request of its bulk endpoint, which is faster
     * by far. With `cloudID`, `url` may be empty. `certificateFingerprint` is SHA-256 of the server's certificate or
     * of its authority's, in hexadecimal; no other is then trusted. Throws if Elasticsearch does not take them all. */
    elastic(url: string, index: string, data: object | object[], username?: string, password?: string, cloudID?: string, apiKey?: string, serviceToken?: string, certificateFingerprint?: string): void;
    s3: {
        /** Uploads a file to S3 and returns its URL. The object is `<NODE>_<IP>_<RUN>/<file>`. Without keys, AWS's
         * default chain finds them (environment, profile, service account, machine). The order of 2023,
         * `vendor.s3.put(region, keyID, accessKey, bucket, path)`, is known by its five arguments of which the first
         * looks like a region and the third does not; the object is `<NODE>_<IP>/<file>` then. Throws if the file
         * can't be read or S3 does not take it. */
        put(bucket: string, path: string, region: string, keyID?: string, accessKey?: string): string;
        /** Deletes what this node uploaded to the bucket in this run, and what it uploaded in the order of 2023.
         * Throws if S3 refuses. */
        clear(region: string, keyID: string, accessKey: string, bucket: string): void;
    };
    gcs: {
        /** Uploads a file to Google Cloud Storage and returns its URL. The object is `<NODE>_<IP>_<RUN>/<file>`.
         * `serviceAccountKey` is the JSON that Google hands out, parsed. Throws if the file can't be read or GCS
         * does not take it. */
        put(bucket: string, path: string, serviceAccountKey: object): string;
        /** Deletes what this node uploaded to the bucket in this run. Throws if GCS refuses. */
        clear(bucket: string, serviceAccountKey: object): void;
    };
    azure: {
        /** Uploads a file to Azure Blob Storage and returns its URL. The blob is `<NODE>_<IP>/<file>`. Needs an
         * account's name and key, or a connection string. Throws if the file can't be read or Azure does not take
         * it. */
        put(containerName: string, path: string, accountName?: string, accountKey?: string, connectionString?: string): string;
    };
    kinesis: {
        /** Puts a record into a stream of Amazon Kinesis and returns what Kinesis answers. An object is sent as
         * JSON. Without keys, AWS's default chain finds them. Throws if Kinesis does not take it. */
        put(streamName: string, payload: any, region: string, keyId?: string, secretKey?: string): { ShardId: string, SequenceNumber: string };
    };
};
