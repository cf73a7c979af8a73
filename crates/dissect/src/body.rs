//! Content encodings, capped.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::Limits;

/// What decoding made of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The plain bytes.
    Whole(Vec<u8>),
    /// Their beginning: a limit was reached, or the input broke off or turned bad after it.
    Part(Vec<u8>),
    /// Nothing: an unknown coding, or bytes that are not in the coding that they are said to be in.
    Not,
}

/// Undoes one content coding (RFC 9110 §8.4.1), of whatever case.
pub(crate) fn decode(coding: &str, bytes: &[u8], limits: &Limits) -> Decoded {
    let coding = coding.to_ascii_lowercase();
    match coding.as_str() {
        "gzip" | "x-gzip" => drain(MultiGzDecoder::new(bytes), bytes.len(), limits),
        // RFC 9110 §8.4.1.2: deflate is zlib, but some send it bare.
        "deflate" => match drain(ZlibDecoder::new(bytes), bytes.len(), limits) {
            Decoded::Not => drain(DeflateDecoder::new(bytes), bytes.len(), limits),
            decoded => decoded,
        },
        "br" => drain(brotli_decompressor::Decompressor::new(bytes, 4096), bytes.len(), limits),
        "zstd" => match ruzstd::decoding::StreamingDecoder::new(bytes) {
            Ok(decoder) => drain(decoder, bytes.len(), limits),
            Err(_) => Decoded::Not,
        },
        _ => Decoded::Not,
    }
}

/// Reads to the end, to the limit, or to the first error.
fn drain(mut decoder: impl Read, input: usize, limits: &Limits) -> Decoded {
    let by_ratio = input.saturating_mul(limits.decoded_ratio).max(Limits::DECODED_FREELY);
    let most = by_ratio.min(limits.decoded_bytes);
    let mut decoded = Vec::new();
    // One byte more than allowed tells a body that fits exactly from one that does not.
    let result = decoder.by_ref().take(most as u64 + 1).read_to_end(&mut decoded);
    if decoded.len() > most {
        decoded.truncate(most);
        return Decoded::Part(decoded);
    }
    match result {
        Ok(_) => Decoded::Whole(decoded),
        Err(_) if decoded.is_empty() => Decoded::Not,
        Err(_) => Decoded::Part(decoded),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::{Decoded, decode};
    use crate::Limits;

    const TEXT: &[u8] = b"so much depends upon a red wheel barrow";
    const BROTLI: &[u8] = b"\x0b\x02\x80hello\x03";
    const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn undoes_each_coding() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(TEXT).unwrap();
        let limits = Limits::default();
        for (coding, bytes, plain) in [
            ("gzip", gzip(TEXT), TEXT),
            ("X-GZIP", gzip(TEXT), TEXT),
            ("deflate", zlib.finish().unwrap(), TEXT),
            ("deflate", bare.finish().unwrap(), TEXT),
            ("br", BROTLI.to_vec(), b"hello"),
            ("zstd", ZSTD.to_vec(), b"hello"),
        ] {
            assert_eq!(decode(coding, &bytes, &limits), Decoded::Whole(plain.to_vec()), "{coding}");
        }
    }

    #[test]
    fn says_what_it_could_not_do() {
        let limits = Limits::default();
        assert_eq!(decode("gzip", TEXT, &limits), Decoded::Not);
        assert_eq!(decode("br", b"\xff\xff\xff", &limits), Decoded::Not);
        assert_eq!(decode("zstd", TEXT, &limits), Decoded::Not);
        assert_eq!(decode("rot13", TEXT, &limits), Decoded::Not);
        let packed = gzip(TEXT);
        assert!(matches!(decode("gzip", &packed[..packed.len() - 9], &limits), Decoded::Part(_)));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 1 << 20];
        let packed = gzip(&zeros);
        let limits = Limits { decoded_bytes: 100_000, ..Limits::default() };
        assert_eq!(decode("gzip", &packed, &limits), Decoded::Part(vec![0; 100_000]));
        let limits = Limits { decoded_ratio: 100, ..Limits::default() };
        assert_eq!(decode("gzip", &packed, &limits), Decoded::Part(vec![0; packed.len() * 100]));
        assert_eq!(decode("gzip", &packed, &Limits { decoded_ratio: 2000, ..limits }), Decoded::Whole(zeros));
    }
}
