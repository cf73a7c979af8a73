//! DNS over UDP and TCP: RFC 1035, and EDNS (RFC 6891).
//!
//! Multicast DNS speaks the same format to everybody at once and is no transaction; a datagram of it is told by its
//! id 0 without a wish for recursion (RFC 6762 §18.1, §18.6), and refused. So are `NetBIOS` names (RFC 1002), told by
//! their encoding. LLMNR (RFC 4795) cannot be told from DNS by its bytes, and is shown.

mod message;
mod parser;
#[cfg(test)]
mod tests;
mod words;

use api::Protocol;
use flow::{Direction, Transport};

use crate::{DissectError, Dissector, Limits, Probe, Role, Scene, Spec, Step, dissector::Ending};

/// DNS.
pub(crate) const SPEC: Spec = Spec { row: "flowsDns", over: |_| true, probe, new };

/// RFC 1035.
pub(crate) static DNS: Protocol = Protocol {
    abbr: "DNS",
    background_color: "#606060",
    font_size: 12,
    long_name: "Domain Name System",
    macro_name: "dns",
    name: "dns",
    ports: &[],
    priority: 4,
    reference_link: "https://www.iana.org/assignments/dns-parameters/dns-parameters.xhtml",
    layer4: "udp",
    version: "0",
    json: std::sync::OnceLock::new(),
};

const HEADER_BYTES: usize = 12;

fn probe(transport: Transport, input: &[u8], _: &Limits) -> Probe {
    match transport {
        Transport::Udp => parser::probe(input, true, true),
        Transport::Tcp => {
            let Some((len, rest)) = input.split_first_chunk() else {
                return Probe::Maybe;
            };
            let len = usize::from(u16::from_be_bytes(*len));
            let whole = rest.len() >= len;
            match parser::probe(rest.get(..len).unwrap_or(rest), whole, false) {
                _ if len < HEADER_BYTES => Probe::No,
                Probe::Maybe if whole => Probe::No,
                verdict => verdict,
            }
        }
    }
}

fn new(transport: Transport, _: Direction, _: Role) -> Box<dyn Dissector> {
    Box::new(Dns { transport, adrift: [false; 2] })
}

struct Dns {
    transport: Transport,
    /// By direction: the next bytes may be the middle of a message.
    adrift: [bool; 2],
}

impl Dissector for Dns {
    fn step(&mut self, direction: Direction, input: &[u8], scene: &Scene<'_>) -> Result<Step, DissectError> {
        if self.transport == Transport::Udp {
            return Ok(Step::Message {
                consumed: input.len(),
                message: message::build(parser::parse(input, scene.cut > 0)?, scene.cut > 0),
            });
        }
        let adrift = self.adrift(direction);
        if std::mem::take(adrift) {
            match probe(Transport::Tcp, input, scene.limits) {
                Probe::Yes(_) => {}
                verdict => {
                    *adrift = true;
                    let consumed = input.len();
                    let maybe = verdict == Probe::Maybe;
                    return Ok(if maybe {
                        Step::NeedMore { at_least: consumed + 1 }
                    } else {
                        Step::Skip { consumed }
                    });
                }
            }
        }
        // RFC 1035 §4.2.2: a length of two bytes before each message.
        let Some((len, rest)) = input.split_first_chunk() else {
            return Ok(Step::NeedMore { at_least: 2 });
        };
        let len = usize::from(u16::from_be_bytes(*len));
        if len < HEADER_BYTES {
            *self.adrift(direction) = true;
            return Err(DissectError::malformed("a message shorter than its header"));
        }
        let Some(bytes) = rest.get(..len) else {
            return Ok(Step::NeedMore { at_least: 2 + len });
        };
        match parser::parse(bytes, false) {
            Ok(parsed) => Ok(Step::Message { consumed: 2 + len, message: message::build(parsed, false) }),
            Err(error) => {
                *self.adrift(direction) = true;
                Err(error)
            }
        }
    }

    fn gap(&mut self, direction: Direction, _: u64, _: &[u8], _: &Scene<'_>) -> Ending {
        *self.adrift(direction) = true;
        Ending { message: None, lost: true }
    }

    fn end(&mut self, _: Direction, _: &[u8], _: bool, _: &Scene<'_>) -> Ending {
        Ending::default()
    }
}

impl Dns {
    fn adrift(&mut self, direction: Direction) -> &mut bool {
        let [to_server, to_client] = &mut self.adrift;
        match direction {
            Direction::ToServer => to_server,
            Direction::ToClient => to_client,
        }
    }
}
