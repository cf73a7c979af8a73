//! Every way in which two and three pieces of a stream can lie to each other, and more pieces at random.

use support::traffic::Random;

/// A piece: where it begins and ends, in steps.
pub(crate) type Piece = (usize, usize);

/// All relations of `n` pieces: every order of their ends, equal ends included. There are 13 of two and 409 of three.
pub(crate) fn relations(n: usize) -> Vec<Vec<Piece>> {
    let mut found = Vec::new();
    ranks(2 * n, &mut Vec::new(), &mut |ranks| {
        let highest = ranks.iter().max().copied().unwrap_or(0);
        let all_used = (0..=highest).all(|rank| ranks.contains(&rank));
        let pieces: Vec<Piece> = ranks.chunks(2).map(|ends| (ends[0], ends[1])).collect();
        if all_used && pieces.iter().all(|(from, to)| from < to) {
            found.push(pieces);
        }
    });
    found
}

fn ranks(left: usize, so_far: &mut Vec<usize>, visit: &mut dyn FnMut(&[usize])) {
    if left == 0 {
        return visit(so_far);
    }
    for rank in 0..so_far.len() + left {
        so_far.push(rank);
        ranks(left - 1, so_far, visit);
        so_far.pop();
    }
}

/// What no piece covers, in steps.
fn holes(pieces: &[Piece]) -> Vec<Piece> {
    let end = pieces.iter().map(|piece| piece.1).max().unwrap_or(0);
    let bare = |step: &usize| !pieces.iter().any(|piece| (piece.0..piece.1).contains(step));
    (0..end).filter(bare).map(|step| (step, step + 1)).collect()
}

/// How the pieces of a stream arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// What comes before them is there already.
    Next,
    /// They wait behind a hole, which is filled after them.
    Ahead,
    /// The same, and what fills the hole reaches into them.
    Covered,
    /// As `Ahead`, but copies agree.
    Agreeing,
}

/// Up to seven pieces of a stream of up to 64 bytes, in any order, one in four of them a copy of what the others say;
/// what none of them covers comes at last.
pub(crate) fn random_segments(random: &mut Random) -> (Vec<(usize, String)>, usize) {
    let len = 8 + random.below(57) as usize;
    let mut covered = vec![false; len];
    let mut piece = |letter: u8, from: usize, to: usize, agrees: bool| {
        covered[from..to].fill(true);
        let byte = |offset: usize| if agrees { b'a' + (offset % 26) as u8 } else { letter };
        (from, (from..to).map(|offset| char::from(byte(offset))).collect::<String>())
    };
    let mut sent = Vec::new();
    for number in 0..2 + random.below(6) as u8 {
        let from = random.below(len as u64 - 1) as usize;
        let to = from + 1 + random.below((len - from) as u64) as usize;
        sent.push(piece(b'A' + number, from, to, random.below(4) == 0));
    }
    let mut from = 0;
    while let Some(hole) = covered[from..].iter().position(|is_covered| !is_covered) {
        let start = from + hole;
        from = covered[start..].iter().position(|&is_covered| is_covered).map_or(len, |more| start + more);
        // It may reach into what is there.
        let end = (from + random.below(3) as usize * 5).min(len);
        sent.push((start, ".".repeat(end - start)));
    }
    (sent, len)
}

/// Up to six fragments of a datagram from `port`, one in four of them twice, and its header, in any order. The header comes
/// once: else there could be two datagrams, of which the second is to us the first one, captured again.
pub(crate) fn random_fragments(random: &mut Random, port: u16) -> Vec<(usize, bool, String)> {
    let end = 2 + random.below(5) as usize;
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < end {
        let to = (from + 1 + random.below(3) as usize).min(end);
        // One in eight begins too early.
        pieces.push((from - usize::from(from > 0 && random.below(8) == 0), to));
        from = to;
    }
    let mut sent = fragments(&pieces, port, true);
    let again: Vec<_> = sent[1..].iter().filter(|_| random.below(4) == 0).cloned().collect();
    sent.extend(again);
    for place in 0..sent.len() {
        let other = random.below(sent.len() as u64) as usize;
        sent.swap(place, other);
    }
    sent
}

/// Bytes of one step of a stream.
const STEP: usize = 4;

/// The segments, as offset and content, in the order in which they are sent; and the length of the stream.
pub(crate) fn segments(pieces: &[Piece], order: Order) -> (Vec<(usize, String)>, usize) {
    let end = pieces.iter().map(|piece| piece.1).max().unwrap_or(0);
    let at = |step: usize| 1 + step * STEP;
    let segment = |letter: u8, from: usize, to: usize| {
        let byte = |offset: usize| {
            if matches!(order, Order::Agreeing) { b'a' + (offset % 26) as u8 } else { letter }
        };
        (from, (from..to).map(|offset| char::from(byte(offset))).collect::<String>())
    };
    let mut sent: Vec<_> =
        pieces.iter().zip(b'A'..).map(|(piece, letter)| segment(letter, at(piece.0), at(piece.1))).collect();
    match order {
        Order::Next => sent.insert(0, segment(b'_', 0, 1)),
        Order::Ahead | Order::Agreeing => sent.push(segment(b'_', 0, 1)),
        Order::Covered => sent.push(segment(b'_', 0, at(end / 2) + 2)),
    }
    sent.extend(holes(pieces).iter().map(|hole| segment(b'.', at(hole.0), at(hole.1))));
    (sent, at(end))
}

/// The fragments of a datagram from `port`: offset, whether more follow, and content. `first`: the UDP header leads.
pub(crate) fn fragments(pieces: &[Piece], port: u16, first: bool) -> Vec<(usize, bool, String)> {
    let end = pieces.iter().map(|piece| piece.1).max().unwrap_or(0);
    let fragment = |letter: char, piece: &Piece| {
        (8 + piece.0 * 8, piece.1 < end, letter.to_string().repeat((piece.1 - piece.0) * 8))
    };
    let len = (8 + end * 8) as u16;
    let header: String =
        [port, 9000, len, 0].map(u16::to_be_bytes).concat().iter().map(|&byte| char::from(byte)).collect();
    let mut sent: Vec<_> = pieces.iter().zip('A'..).map(|(piece, letter)| fragment(letter, piece)).collect();
    sent.insert(if first { 0 } else { sent.len() }, (0, true, header));
    sent.extend(holes(pieces).iter().map(|hole| fragment('.', hole)));
    sent
}
