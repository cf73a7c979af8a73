//! The ledger: where every frame, segment and byte went. Each counter is incremented where the thing happens.

/// Declares a struct of counters once: its fields, their names for people, and the sum of two of them.
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])* $field:ident: $label:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: u64,)*
        }

        impl $name {
            /// Calls `visit` with the name and value of every counter, in the order of the fields.
            pub fn each(&self, visit: &mut dyn FnMut(&'static str, u64)) {
                $(visit($label, self.$field);)*
            }

            /// Adds another one's counts to these.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

counters! {
    /// What became of frames. `frames` is the sum of the rows from `tcp` to `fragmentTooMany`: each frame ends in
    /// exactly one of them. `fragmentHeld` is the sum of the `held…` rows and of the fragments that still wait.
    DecodeCounters {
        /// Frames handed to the decoder.
        frames: "frames",
        /// Their captured bytes.
        frame_bytes: "frameBytes",

        /// Passed on as a TCP segment (also the fragment that completed one).
        tcp: "tcp",
        /// Passed on as a UDP datagram (also the fragment that completed one).
        udp: "udp",
        /// The link type is not one of those that [`crate::Decoder::supports`].
        unsupported_link_type: "unsupportedLinkType",
        /// Address resolution.
        arp: "arp",
        /// Carries something else than IP.
        not_ip: "notIp",
        /// Ends inside a header that must be read.
        truncated_header: "truncatedHeader",
        /// A link-layer or tunnel header that contradicts itself.
        bad_link_header: "badLinkHeader",
        /// An IP header that contradicts itself.
        bad_ip_header: "badIpHeader",
        /// A TCP or UDP header that contradicts itself.
        bad_transport_header: "badTransportHeader",
        /// More headers above each other than the limit allows.
        tunnel_too_deep: "tunnelTooDeep",
        /// ICMP.
        icmp: "icmp",
        /// `ICMPv6`.
        icmpv6: "icmpv6",
        /// IGMP.
        igmp: "igmp",
        /// SCTP.
        sctp: "sctp",
        /// Encrypted (IP protocol 50).
        esp: "esp",
        /// OSPF.
        ospf: "ospf",
        /// IPv6 without anything in it (next header 59).
        no_next_header: "noNextHeader",
        /// IP that carries a protocol without a row of its own.
        other_transport: "otherTransport",
        /// A fragment that waits for the rest of its datagram.
        fragment_held: "fragmentHeld",
        /// A fragment that repeats what is there.
        fragment_duplicate: "fragmentDuplicate",
        /// A fragment that overlaps another: it took its whole datagram with it, as in Linux (RFC 5722).
        fragment_overlap: "fragmentOverlap",
        /// A fragment whose length or end contradicts itself or its datagram.
        fragment_bad: "fragmentBad",
        /// A fragment that the capture cut short.
        fragment_cut: "fragmentCut",
        /// One fragment more than a datagram may have.
        fragment_too_many: "fragmentTooMany",

        /// Held fragments that became part of a whole datagram.
        held_joined: "heldJoined",
        /// Held fragments whose datagram was not whole in time.
        held_expired: "heldExpired",
        /// Held fragments whose datagram made room for others.
        held_evicted: "heldEvicted",
        /// Held fragments whose datagram another fragment spoilt (overlap, contradiction, too many).
        held_spoilt: "heldSpoilt",
    }
}

counters! {
    /// What became of segments and datagrams. For TCP payload, in bytes:
    /// `tcpBytes` = `delivered` + `duplicate` + `copied` + `outsideWindow` + `afterFin` + `beforeStart` + `late` +
    /// `onReset` + `afterClose` + `shedBytes` + `held`, and `held` is 0 at the end.
    FlowCounters {
        /// TCP flows opened.
        tcp_opened: "tcpOpened",
        /// UDP flows opened.
        udp_opened: "udpOpened",
        /// Flows whose start was not captured.
        midstream: "midstream",
        /// Flows that both sides finished.
        closed_finished: "closedFinished",
        /// Flows that one side reset.
        closed_reset: "closedReset",
        /// Flows that fell silent.
        closed_idle: "closedIdle",
        /// Flows that a limit ended.
        closed_evicted: "closedEvicted",
        /// Flows whose ports were used again.
        closed_reused: "closedReused",
        /// Flows that were open at the end of the capture.
        closed_at_end: "closedAtEnd",

        /// Flows that were shed, because the engine was overloaded: none of the rows above, and not read.
        shed_flows: "shedFlows",
        /// Of them: forgotten before their end, because there were too many.
        shed_forgotten: "shedForgotten",
        /// Segments of flows that were shed.
        shed_segments: "shedSegments",
        /// Datagrams of flows that were shed.
        shed_datagrams: "shedDatagrams",
        /// Payload of those datagrams.
        shed_datagram_bytes: "shedDatagramBytes",

        /// Flows that ended, and were forgotten sooner than they should be because many others ended: what is sent
        /// again of one opens another.
        ended_forgotten: "endedForgotten",

        /// TCP segments.
        segments: "segments",
        /// Segments that belong to no flow and bring nothing new: nothing was opened for them.
        strays: "strays",
        /// A SYN, or a SYN with ACK, that contradicts the flow it came for.
        syn_ignored: "synIgnored",
        /// A RST outside the window.
        rst_ignored: "rstIgnored",
        /// An acknowledgment of what cannot have been sent.
        ack_ignored: "ackIgnored",

        /// Payload of TCP segments.
        tcp_bytes: "tcpBytes",
        /// Of it: handed to the handler in order.
        delivered: "delivered",
        /// Of it: was there already.
        duplicate: "duplicate",
        /// Of it: the same packet seen at another place, or twice at this one.
        copied: "copied",
        /// Of it: beyond what the receiver would take.
        outside_window: "outsideWindow",
        /// Of it: after the end of the stream.
        after_fin: "afterFin",
        /// Of it: before the first byte captured of a flow that was running.
        before_start: "beforeStart",
        /// Of it: came when it had been given up as a gap.
        late: "late",
        /// Of it: in a segment that resets the flow.
        on_reset: "onReset",
        /// Of it: sent again when the flow had ended.
        after_close: "afterClose",
        /// Of it: of flows that were shed.
        shed_bytes: "shedBytes",
        /// Of it: waits behind a hole now.
        held: "held",
        /// Segments that wait behind a hole now.
        held_segments: "heldSegments",

        /// Gaps told to the handler.
        gaps: "gaps",
        /// Their bytes.
        gap_bytes: "gapBytes",
        /// Gaps made because too much waited behind a hole.
        gaps_forced: "gapsForced",
        /// Bytes of which two captured copies differ.
        differing: "differing",

        /// UDP datagrams.
        datagrams: "datagrams",
        /// Of them: handed to the handler.
        datagrams_delivered: "datagramsDelivered",
        /// Of them: the same packet seen at another place, or twice at this one.
        datagrams_copied: "datagramsCopied",
        /// Of those delivered: shorter than sent, because the capture cut them.
        datagrams_cut: "datagramsCut",
        /// Payload of UDP datagrams that were delivered.
        datagram_bytes: "datagramBytes",
    }
}
