//! Every way in which two and three pieces of a stream can lie to each other.

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
