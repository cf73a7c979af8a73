//! Protocols as users see them: names, colours, the macro of the filter language.

use std::sync::OnceLock;

use kfl::Value;

/// What a protocol is called and how it is shown. One static per protocol, beside its dissector.
#[derive(Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Short name on a badge: `HTTP`.
    pub abbr: &'static str,
    /// Badge colour, `#rrggbb`.
    pub background_color: &'static str,
    /// Badge font size in points.
    pub font_size: i64,
    /// Whole name.
    pub long_name: &'static str,
    /// The word that selects it in a filter.
    pub macro_name: &'static str,
    /// Machine name: `http`.
    pub name: &'static str,
    /// Usual ports, for information; protocols are found by content.
    pub ports: &'static [&'static str],
    /// Place in the list of protocols.
    pub priority: i64,
    /// Where it is specified.
    pub reference_link: &'static str,
    /// `tcp` or `udp`: its usual carrier.
    pub layer4: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Itself as JSON, once it was asked for: every entry has it.
    pub json: OnceLock<Vec<u8>>,
}

const FOREGROUND: &str = "#ffffff";
const LAYER3: &str = "ip";

kfl::record! {
    impl Record for Protocol as protocol {
        "abbr" => Value::text(protocol.abbr),
        "backgroundColor" => Value::text(protocol.background_color),
        "fontSize" => Value::Int(protocol.font_size),
        "foregroundColor" => Value::text(FOREGROUND),
        "layer3" => Value::text(LAYER3),
        "layer4" => Value::text(protocol.layer4),
        "longName" => Value::text(protocol.long_name),
        "macro" => Value::text(protocol.macro_name),
        "name" => Value::text(protocol.name),
        "ports" => Value::list(&protocol.ports),
        "priority" => Value::Int(protocol.priority),
        "referenceLink" => Value::text(protocol.reference_link),
        "version" => Value::text(protocol.version),
    }
    json protocol.json.get_or_init(|| {
        let mut json = Vec::new();
        protocol.write_fields(&mut json);
        json
    })
}
