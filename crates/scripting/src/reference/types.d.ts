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
