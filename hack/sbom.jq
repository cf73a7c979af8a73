# What cargo tree prints as "NAME vVERSION …|LICENCE" → a CycloneDX list. $version is ours; $checksums are lines
# "NAME@VERSION SHA256" of Cargo.lock.

# What cargo has printed before ends in a star.
def crate: rtrimstr(" (*)") | capture("^(?<name>[^ ]+) v(?<version>[^ |]+)[^|]*\\|(?<licence>.*)$");
def licences(text): if text == "" then {} else {licenses: [{expression: (text | gsub("/"; " OR "))}]} end;
def checksum(sum): if sum == null then {} else {hashes: [{alg: "SHA-256", content: sum}]} end;

($checksums | split("\n") | map(split(" ") | {(.[0]): .[1]}) | add) as $known
| [inputs | crate | select(.name | startswith("kubeshark-") | not)] as $crates
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {component: ({type: "application", name: "kubeshark", version: $version} + licences("Apache-2.0"))},
    components: (
        [$crates[] | {type: "library", name, version, purl: "pkg:cargo/\(.name)@\(.version)"}
            + licences(.licence) + checksum($known["\(.name)@\(.version)"])]
        + [{type: "library", name: "libpcap", version: $libpcap, purl: "pkg:generic/libpcap@\($libpcap)"}
            + licences("BSD-3-Clause")]
        | unique_by(.purl)
    )
}
