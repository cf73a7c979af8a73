//! Numbers as words. Where the original has a word it is the same one (gopacket's texts); where it says `Unknown` we
//! print the number, as RFC 3597 §5 does.

use std::borrow::Cow;

pub(super) const OPT: u16 = 41;

/// The type of a question or a record.
pub(super) fn kind(kind: u16) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        1 => "A",
        2 => "NS",
        3 => "MD",
        4 => "MF",
        5 => "CNAME",
        6 => "SOA",
        7 => "MB",
        8 => "MG",
        9 => "MR",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        14 => "MINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        24 => "SIG",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        37 => "CERT",
        39 => "DNAME",
        OPT => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        55 => "HIP",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        _ => return Cow::Owned(format!("TYPE{kind}")),
    })
}

/// The class of a question or a record. Of OPT it is the sender's UDP size (RFC 6891 §6.1.2).
pub(super) fn class(class: u16) -> Cow<'static, str> {
    Cow::Borrowed(match class {
        1 => "IN",
        2 => "CS",
        3 => "CH",
        4 => "HS",
        254 => "NONE",
        255 => "Any",
        _ => return Cow::Owned(format!("CLASS{class}")),
    })
}

pub(super) fn opcode(opcode: u8) -> Cow<'static, str> {
    Cow::Borrowed(match opcode {
        0 => "Query",
        1 => "Inverse Query",
        2 => "Status",
        4 => "Notify",
        5 => "Update",
        _ => return Cow::Owned(format!("OPCODE{opcode}")),
    })
}

/// The response code. The space after `Server Failure` is the original's, whose filters users have written down.
pub(super) fn code(code: u16) -> Cow<'static, str> {
    Cow::Borrowed(match code {
        0 => "No Error",
        1 => "Format Error",
        2 => "Server Failure ",
        3 => "Non-Existent Domain",
        4 => "Not Implemented",
        5 => "Query Refused",
        6 => "Name Exists when it should not",
        7 => "RR Set Exists when it should not",
        8 => "RR Set that should exist does not",
        9 => "Server Not Authoritative for zone",
        10 => "Name not contained in zone",
        16 => "Bad OPT Version",
        17 => "Key not recognized",
        18 => "Signature out of time window",
        19 => "Bad TKEY Mode",
        20 => "Duplicate key name",
        21 => "Algorithm not supported",
        22 => "Bad Truncation",
        23 => "Bad/missing Server Cookie",
        _ => return Cow::Owned(format!("RCODE{code}")),
    })
}

/// The code of an EDNS option.
pub(super) fn option(code: u16) -> Cow<'static, str> {
    Cow::Borrowed(match code {
        3 => "NSID",
        5 => "DAU",
        6 => "DHU",
        7 => "N3U",
        8 => "EDNSClientSubnet",
        9 => "EDNSExpire",
        10 => "Cookie",
        11 => "EDNSKeepAlive",
        12 => "CodePadding",
        13 => "CodeChain",
        14 => "CodeEDNSKeyTag",
        16 => "EDNSClientTag",
        17 => "EDNSServerTag",
        26946 => "DeviceID",
        _ => return Cow::Owned(code.to_string()),
    })
}
