//! A fixed hash: the same flow lands on the same shard in every run, on every machine.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::packet::FlowKey;

/// A map from keys that already are well mixed.
pub(crate) type MixedMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Mixed>>;

/// Multiplies to 128 bits and folds: every bit of `a` and `b` reaches every bit of the result.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    // Odd constants with no pattern: digits of the square roots of 2 and 3.
    let wide = u128::from(a ^ 0x6a09_e667_f3bc_c909) * u128::from(b ^ 0xbb67_ae85_84ca_a73b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// Hashes the first 256 bytes and the length: enough to tell one datagram from the next.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.get(..256).unwrap_or(bytes).as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, &byte| mix(hash, u64::from(byte)))
}

/// Takes one `u64` as it is; anything else is mixed in.
#[derive(Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0, digest(bytes));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Hash for FlowKey {
    fn hash<S: Hasher>(&self, state: &mut S) {
        state.write_u64(self.digest());
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use crate::packet::{FlowKey, Peer, SHARDS, Transport};

    fn key(host: u32, port: u16) -> FlowKey {
        let peer = |ip: u32, port| Peer { ip: IpAddr::V4(Ipv4Addr::from(ip)), port };
        FlowKey::of(peer(0x0a00_0000 + host, port), peer(0x0a60_0001, 80), Transport::Tcp, 0).0
    }

    #[test]
    fn shards_are_even() {
        let mut count = [0_u32; SHARDS];
        for host in 0..64 {
            for port in 0..1000 {
                count[key(host, 32_768 + port).shard()] += 1;
            }
        }
        assert!(count.iter().all(|&n| (850..1150).contains(&n)), "1000 expected in each: {count:?}");
    }

    #[test]
    fn shard_is_fixed_and_symmetric() {
        let (a, b) = (key(1, 4000).low, key(1, 4000).high);
        let there = FlowKey::of(a, b, Transport::Udp, 7).0;
        let back = FlowKey::of(b, a, Transport::Udp, 7).0;
        assert_eq!(there.shard(), back.shard());
        assert_eq!(key(1, 4000).digest(), key(1, 4000).digest());
        assert_ne!(there.digest(), FlowKey { realm: 8, ..there }.digest());
    }
}
