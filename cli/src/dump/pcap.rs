//! The format pcap: packets as they passed on a network.

use std::net::{IpAddr, SocketAddr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};
use pcap_parser::pcap::{
    LegacyPcapBlock, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_header,
};
use pcap_parser::{Linktype, PcapHeader};

use super::capture::{Capture, Unreadable};
use super::tcp::{Connections, Segment};

/// The first four octets of a file: of either order, with microseconds or nanoseconds.
const MAGIC: [[u8; 4]; 4] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
];

/// Those of the newer format, which is not read.
const NEXT_GENERATION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Whether the file is one of packets.
pub(super) fn is_pcap(file: &[u8]) -> bool {
    let first = file.get(..4).unwrap_or_default();
    first == NEXT_GENERATION || MAGIC.iter().any(|magic| first == magic)
}

/// Reads it.
pub(super) fn read(file: &[u8]) -> Capture {
    let mut capture = Capture::default();
    let mut unreadable = |offset, what: &str| {
        let what = what.to_owned();
        capture.unreadable.push(Unreadable { offset, what });
    };
    if file.starts_with(&NEXT_GENERATION) {
        unreadable(0, "pcapng is not read; `editcap -F pcap` makes pcap of it");
        return capture;
    }
    let Ok((mut rest, header)) = parse_pcap_header(file) else {
        unreadable(0, "the header of the pcap file is broken");
        return capture;
    };
    let next = match header.is_bigendian() {
        true => parse_pcap_frame_be,
        false => parse_pcap_frame,
    };
    let mut connections = Connections::default();
    let mut unknown_link = false;
    while !rest.is_empty() {
        let offset = file.len() - rest.len();
        let Ok((behind, packet)) = next(rest) else {
            unreadable(offset, "a packet that is not whole");
            break;
        };
        match packet_of(header.network, packet.data) {
            Some(found) => {
                if let Some(segment) = found.and_then(|found| segment(&header, &packet, &found)) {
                    connections.take(segment);
                }
            }
            None if unknown_link => {}
            None => {
                unknown_link = true;
                let link = header.network;
                unreadable(offset, &format!("packets of a link of unknown type {link}"));
            }
        }
        rest = behind;
    }
    let conversations = connections.into_conversations();
    let mut chunks = conversations.iter().flat_map(|one| &one.chunks);
    if !chunks.any(|chunk| chunk.octets.starts_with(b"aemp")) {
        unreadable(0, "no AEMP conversation begins in this file");
    }
    capture.conversations = conversations;
    capture
}

/// The packet behind the header of its link. `None` if such links are not known, `Some(None)` if it
/// is no packet of IP.
fn packet_of(link: Linktype, data: &[u8]) -> Option<Option<LaxSlicedPacket<'_>>> {
    let header = match link.0 {
        1 => return Some(LaxSlicedPacket::from_ethernet(data).ok()),
        // IP and nothing in front; a type that is called so on some systems.
        12 | 14 | 101 | 228 | 229 => 0,
        // BSD's loopback.
        0 | 108 => 4,
        // Linux's `any`, and its second version.
        113 => 16,
        276 => 20,
        _ => return None,
    };
    let packet = data.get(header..);
    Some(packet.and_then(|packet| LaxSlicedPacket::from_ip(packet).ok()))
}

/// What a packet has of TCP.
fn segment(
    header: &PcapHeader,
    captured: &LegacyPcapBlock<'_>,
    packet: &LaxSlicedPacket<'_>,
) -> Option<Segment> {
    let (from, to): (IpAddr, IpAddr) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let TransportSlice::Tcp(tcp) = packet.transport.as_ref()? else {
        return None;
    };
    let fraction = match header.is_nanosecond_precision() {
        true => u64::from(captured.ts_usec),
        false => u64::from(captured.ts_usec) * 1000,
    };
    let cut = captured.origlen.saturating_sub(captured.caplen);
    let (from_port, to_port) = ports(tcp);
    Some(Segment {
        nanoseconds: u64::from(captured.ts_sec) * 1_000_000_000 + fraction,
        from: SocketAddr::new(from, from_port),
        to: SocketAddr::new(to, to_port),
        opens: tcp.syn(),
        answers: tcp.ack(),
        sequence: tcp.sequence_number(),
        octets: tcp.payload().to_vec(),
        cut: usize::try_from(cut).unwrap_or(usize::MAX),
    })
}

fn ports(tcp: &TcpSlice<'_>) -> (u16, u16) {
    (tcp.source_port(), tcp.destination_port())
}
