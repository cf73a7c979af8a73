use std::{
    env,
    os::unix::fs::FileExt,
    process::{self, Command},
    sync::atomic::AtomicU32,
    time::Instant,
};

use flow::{Frame, Ordinal, Timestamp};

use crate::{
    Config, Input, SourceConfig,
    batch::Filler,
    capture::{CaptureFile, PacketSource, Position},
};

use super::*;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A frame and its time.
type Timed = (i64, Vec<u8>);

/// A directory that goes with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let number = NEXT.fetch_add(1, Relaxed);
        let path = env::temp_dir().join(format!("kubeshark-packets-{}-{number}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> Files {
        Files::open(&self.0, 1 << 30).unwrap()
    }

    fn packets(&self, limits: PacketLimits) -> Packets {
        Packets::open(&self.files(), &limits, true).unwrap()
    }

    /// Bytes of all segments on disk.
    fn segments(&self) -> u64 {
        let mut bytes = 0;
        for directory in fs::read_dir(self.0.join("packets")).unwrap() {
            for file in fs::read_dir(directory.unwrap().path()).unwrap().flatten() {
                if file.file_name().to_string_lossy().ends_with(".segment") {
                    // It may be removed meanwhile.
                    bytes += file.metadata().map_or(0, |metadata| metadata.len());
                }
            }
        }
        bytes
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn stream(number: u64) -> Stream {
    Stream { number, udp: true }
}

/// An Ethernet frame with a datagram of `len` bytes that begins with `number`.
fn datagram(number: u64, len: usize) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((28 + len as u16).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, 53]);
    frame.extend((8 + len as u16).to_be_bytes());
    frame.extend([0, 0]);
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(len.max(8), 0);
    frame.extend(payload);
    frame
}

/// The number in a frame made by [`datagram`].
fn number(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[42..50].try_into().unwrap())
}

/// A batch of packets, each of the stream and with the number that are named.
fn batch(packets: &[(u64, u64)], len: usize) -> Batch {
    let mut batch = Batch::default();
    batch.clear();
    let mut filler = Filler::new(&flow::Limits::default(), true);
    for (index, (stream, number)) in packets.iter().enumerate() {
        let bytes = datagram(*number, len);
        let frame = Frame {
            ordinal: 1 + index as Ordinal,
            at: Timestamp(1_000_000_000_000_000_000 + *number as i64),
            interface: 0,
            link_type: 1,
            wire_len: bytes.len() as u32,
            bytes: &bytes,
        };
        filler.frame(&frame, &mut batch);
        if *stream > 0 {
            batch.own(index as u32, StreamKey(stream << 1 | 1));
        }
    }
    batch
}

fn push(packets: &Packets, of: &[(u64, u64)], len: usize) {
    packets.sink(0, true).take(&mut batch(of, len));
}

/// All frames of a capture, and their times; and whether it ended well.
fn frames(name: &str, bytes: Box<dyn io::Read + Send>) -> (Vec<(i64, Vec<u8>)>, bool) {
    let mut capture = CaptureFile::new(name.into(), bytes, &Position::default()).unwrap();
    let mut frames = Vec::new();
    loop {
        match capture.next_packet(0) {
            Ok(Some(frame)) => frames.push((frame.at.0, frame.bytes.to_vec())),
            Ok(None) => return (frames, true),
            Err(_) => return (frames, false),
        }
    }
}

/// The numbers in a copy.
fn numbers(packets: &Packets, path: &str) -> Vec<u64> {
    let (frames, whole) = frames(path, Box::new(packets.files().read(path).unwrap()));
    assert!(whole, "{path}");
    frames.iter().map(|(_, frame)| number(frame)).collect()
}

fn downloaded(packets: &Packets, stream: Stream) -> Vec<(i64, Vec<u8>)> {
    let bytes = packets.download(stream).unwrap().collect::<io::Result<Vec<_>>>().unwrap().concat();
    let (frames, whole) = frames("download", Box::new(io::Cursor::new(bytes)));
    assert!(whole);
    frames
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A worker over one capture file, read to its end.
fn worker(runtime: &tokio::runtime::Runtime, capture: &Path, n_frames: u64, data: &Path) -> crate::Running {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: Some(data.to_owned()),
        threads: 2,
        ..Config::new(vec![SourceConfig::new(Input::File(capture.to_owned()))])
    };
    let running = runtime.block_on(crate::start(config)).unwrap();
    let packets = running.packets().unwrap().clone();
    until("all frames are stored", || {
        let counters = packets.counters();
        counters.stored + counters.copies == n_frames
    });
    running
}

#[test]
fn streams_are_those_that_tshark_finds() {
    if Command::new("tshark").arg("-v").output().is_err() {
        eprintln!("tshark is missing: nothing to compare with");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures");
    let mut compared = 0;
    for case in fs::read_dir(captures).unwrap().flatten() {
        let input = ["input.pcap", "input.pcap.gz"].map(|name| case.path().join(name));
        let Some(input) = input.into_iter().find(|path| path.exists()) else { continue };
        let (all, _) = frames("input", Box::new(File::open(&input).unwrap()));
        let told = Command::new("tshark")
            .args(["-r", input.to_str().unwrap(), "-T", "fields", "-e", "tcp.stream", "-e", "udp.stream"])
            .output()
            .unwrap();
        // Streams in the order of their first packets, as ours are numbered.
        let mut expected: Vec<(String, Vec<Timed>)> = Vec::new();
        for (line, frame) in String::from_utf8(told.stdout).unwrap().lines().zip(&all) {
            if line.trim().is_empty() {
                continue;
            }
            match expected.iter_mut().find(|(key, _)| key == line) {
                Some((_, frames)) => frames.push(frame.clone()),
                None => expected.push((line.to_owned(), vec![frame.clone()])),
            }
        }
        let scratch = Scratch::new();
        let running = worker(&runtime, &input, all.len() as u64, &scratch.0);
        let packets = running.packets().unwrap();
        let copies = packets.counters().copies;
        for (index, (key, frames)) in expected.iter().enumerate() {
            let stream = Stream { number: 1 + index as u64, udp: key.starts_with('\t') };
            let ours = downloaded(packets, stream);
            if copies == 0 {
                assert_eq!(&ours, frames, "{} {stream}", input.display());
            } else {
                assert!(ours.iter().all(|frame| frames.contains(frame)), "{} {stream}", input.display());
            }
            compared += 1;
        }
        let next = Stream { number: 1 + expected.len() as u64, udp: false };
        assert!(matches!(packets.download(next), Err(PacketsError::Gone(_))));
        // All of it, in the order of time.
        let snapshot = packets.snapshot(What::All).unwrap();
        assert_eq!(snapshot.packets, all.len() as u64 - copies);
        let (mut merged, whole) = frames_of(packets, &snapshot.path);
        assert!(whole && merged.is_sorted_by_key(|(at, _)| *at));
        if copies == 0 {
            let mut all = all;
            merged.sort();
            all.sort();
            assert_eq!(merged, all, "{}", input.display());
        }
        runtime.block_on(running.shutdown());
        assert_eq!(scratch.segments(), 0, "an orderly end leaves none");
    }
    assert!(compared > 20, "{compared}");
}

fn frames_of(packets: &Packets, path: &str) -> (Vec<(i64, Vec<u8>)>, bool) {
    frames(path, Box::new(packets.files().read(path).unwrap()))
}

#[test]
fn fragments_belong_to_their_datagram_and_copies_are_kept_once() {
    let whole = datagram(7, 2000);
    let (header, payload) = whole.split_at(34);
    let fragment = |offset: usize, len: usize, more: bool, id: u8| {
        let mut frame = header.to_vec();
        frame[16..18].copy_from_slice(&(20 + len as u16).to_be_bytes());
        frame[18..20].copy_from_slice(&[1, id]);
        frame[20..22].copy_from_slice(&(u16::from(more) << 13 | (offset / 8) as u16).to_be_bytes());
        frame.extend(&payload[offset..offset + len]);
        frame
    };
    let mut copied = datagram(8, 100);
    copied[18..20].copy_from_slice(&[3, 3]);
    let mut arp = vec![0; 12];
    arp.extend([8, 6, 0, 1]);
    arp.resize(60, 0);
    let frames =
        [fragment(0, 1480, true, 9), arp, fragment(1480, 528, false, 9), copied.clone(), copied.clone()];
    let mut file = Vec::new();
    Form::Pcap(1).begin(&mut file);
    for (index, bytes) in frames.iter().enumerate() {
        let header = record::Header {
            stream: StreamKey::NONE,
            at: 1_700_000_000_000_000_000 + index as i64 * 1000,
            captured: bytes.len() as u32,
            wire: bytes.len() as u32,
            interface: 0,
            link_type: 1,
        };
        Form::Pcap(1).packet(&header, bytes, &mut file).unwrap();
    }
    let scratch = Scratch::new();
    let capture = scratch.0.join("fragments.pcap");
    fs::write(&capture, file).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let running = worker(&runtime, &capture, 5, &scratch.0.join("data"));
    let packets = running.packets().unwrap();
    let ours: Vec<_> = downloaded(packets, stream(1)).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(ours, [frames[0].clone(), frames[2].clone(), copied]);
    let counters = packets.counters();
    assert_eq!((counters.stored, counters.copies), (4, 1));
    assert_eq!(counters.without_stream, 2, "the ARP, and the fragment when it came");
    runtime.block_on(running.shutdown());
}

#[test]
fn segments_keep_within_their_limits() {
    let scratch = Scratch::new();
    let limit = 1 << 20;
    let packets = scratch.packets(PacketLimits { bytes: limit, ..PacketLimits::default() });
    for round in 0..64 {
        let of: Vec<_> = (0..64).map(|index| (1 + index % 8, round * 64 + index)).collect();
        push(&packets, &of, 1000);
        packets.flush().unwrap();
        assert!(scratch.segments() <= limit, "{} bytes", scratch.segments());
    }
    let counters = packets.counters();
    assert_eq!((counters.stored, counters.refused_disk + counters.refused_buffer), (4096, 0));
    assert!(counters.evicted_for_bytes > 2000);
    assert_eq!(packets.status().packets, counters.stored - counters.evicted_for_bytes);
    let left: Vec<_> = downloaded(&packets, stream(3)).iter().map(|(_, frame)| number(frame)).collect();
    assert_eq!(left.last(), Some(&(63 * 64 + 58)), "the newest are kept");
    assert!(left.is_sorted() && left.len() > 50);
    packets.close();

    let young = PacketLimits { max_age: Duration::from_millis(1), ..PacketLimits::default() };
    let packets = scratch.packets(young);
    push(&packets, &[(1, 1)], 100);
    until("what is old is removed", || packets.counters().evicted_for_age == 1);
    until("and its file", || scratch.segments() == 0);
    assert!(matches!(packets.download(stream(1)), Err(PacketsError::Gone(_))));
}

#[test]
fn capture_does_not_wait_for_the_disk() {
    let scratch = Scratch::new();
    let packets = scratch.packets(PacketLimits { buffer_bytes: 200_000, ..PacketLimits::default() });
    // A writer that hangs, as on a disk that does not answer.
    let (release, hang) = sync_channel::<()>(1);
    assert!(packets.0.queue.ask(Box::new(move |_| assert!(hang.recv().is_ok()))));
    let sink = packets.sink(0, false);
    let total = 64;
    for round in 0..total {
        sink.take(&mut batch(&[(1, round)], 10_000));
    }
    let refused = packets.counters().refused_buffer;
    assert!(refused > 30 && refused < total, "{refused}");
    release.send(()).unwrap();
    packets.flush().unwrap();
    assert_eq!(packets.counters().stored, total - refused);
    // A file waits instead.
    let (release, hang) = sync_channel::<()>(1);
    assert!(packets.0.queue.ask(Box::new(move |_| assert!(hang.recv().is_ok()))));
    let waiting = packets.sink(0, true);
    let filling = thread::spawn(move || {
        for round in 0..total {
            waiting.take(&mut batch(&[(2, round)], 10_000));
        }
    });
    release.send(()).unwrap();
    filling.join().unwrap();
    packets.flush().unwrap();
    assert_eq!(downloaded(&packets, stream(2)).len() as u64, total);
}

#[test]
fn copies_go_on_wherever_they_are_moved() {
    let scratch = Scratch::new();
    let packets = scratch.packets(PacketLimits::default());
    push(&packets, &[(1, 1), (2, 2), (1, 3)], 100);
    packets.files().make_directory("recorded").unwrap();
    packets.files().make_directory("other").unwrap();
    assert_eq!(packets.copy(stream(1), "recorded/1").unwrap(), 2);
    assert_eq!(packets.copy(stream(1), "./other//1").unwrap(), 2, "the same stream twice");
    assert!(matches!(packets.copy(stream(9), "recorded/9"), Err(PacketsError::Gone(_))));
    assert!(matches!(packets.copy(stream(2), "../2"), Err(PacketsError::File(_))));
    push(&packets, &[(1, 4), (2, 5)], 100);
    packets.flush().unwrap();
    assert_eq!(numbers(&packets, "recorded/1"), [1, 3, 4]);
    assert_eq!(packets.rename("recorded", "sent").unwrap(), "sent");
    push(&packets, &[(1, 6)], 100);
    packets.flush().unwrap();
    assert_eq!(numbers(&packets, "sent/1"), [1, 3, 4, 6]);
    assert_eq!(numbers(&packets, "other/1"), [1, 3, 4, 6]);
    packets.remove("sent").unwrap();
    packets.remove("sent").unwrap();
    push(&packets, &[(1, 7)], 100);
    packets.flush().unwrap();
    assert!(!packets.files().is_directory("sent"), "what was removed does not come back");
    assert_eq!(numbers(&packets, "other/1"), [1, 3, 4, 6, 7]);
    assert_eq!(packets.status().pinned, 1);
    // Its end ends the pin; a copy made later is whole from the beginning.
    let mut last = batch(&[(1, 8)], 100);
    last.ended([StreamKey::from(stream(1))].into_iter());
    packets.sink(0, true).take(&mut last);
    packets.flush().unwrap();
    assert_eq!(numbers(&packets, "other/1"), [1, 3, 4, 6, 7, 8]);
    assert_eq!(packets.copy(stream(1), "late").unwrap(), 6);
    assert_eq!(packets.status().pinned, 0);
    // Somebody writes into a copy: it is left alone from then on.
    assert_eq!(packets.copy(stream(2), "mine").unwrap(), 2);
    packets.files().existing("mine").unwrap().write_all_at(b"x", 1000).unwrap();
    push(&packets, &[(2, 9)], 100);
    packets.flush().unwrap();
    assert_eq!(packets.files().existing("mine").unwrap().metadata().unwrap().len(), 1001);
}

#[test]
fn a_snapshot_has_the_order_of_time_and_every_link_type() {
    let scratch = Scratch::new();
    let packets = scratch.packets(PacketLimits::default());
    push(&packets, &[(1, 5), (2, 4), (1, 3), (0, 2)], 100);
    let all = packets.snapshot(What::All).unwrap();
    assert_eq!(numbers(&packets, &all.path), [2, 3, 4, 5]);
    let some = packets.snapshot(What::Streams(&[stream(1), stream(1)])).unwrap();
    assert_eq!(numbers(&packets, &some.path), [3, 5]);
    assert_ne!(all.path, some.path);
    assert!(matches!(packets.snapshot(What::Streams(&[stream(7)])), Err(PacketsError::Nothing)));
    packets.files().make_directory("dir/below").unwrap();
    packets.copy(stream(1), "dir/one").unwrap();
    packets.copy(stream(2), "dir/below/two").unwrap();
    push(&packets, &[(2, 6), (1, 7)], 100);
    // Another link type, a file cut within a record, and one that is no capture.
    let mut cooked = Vec::new();
    let mut form = Form::Pcap(113);
    form.begin(&mut cooked);
    for at in [1_000_000_000_000_000_000, 1_000_000_000_000_000_100] {
        let (captured, wire) = (60, 60);
        let header =
            record::Header { stream: StreamKey::NONE, at, captured, wire, interface: 0, link_type: 113 };
        form.packet(&header, &[9; 60], &mut cooked).unwrap();
    }
    cooked.truncate(cooked.len() - 1);
    fs::write(scratch.0.join("dir/cooked.pcap"), &cooked).unwrap();
    fs::write(scratch.0.join("dir/notes.txt"), "no capture").unwrap();
    let merged = packets.snapshot(What::Directory("dir")).unwrap();
    assert_eq!((merged.packets, merged.broken), (6, 1));
    let bytes = fs::read(scratch.0.join(&merged.path)).unwrap();
    assert_eq!(bytes.len() as u64, merged.bytes);
    assert_eq!(&bytes[..4], &[0x0a, 0x0d, 0x0d, 0x0a], "several link types: pcapng");
    let (frames, whole) = frames_of(&packets, &merged.path);
    assert!(whole && frames.is_sorted_by_key(|(at, _)| *at));
    assert_eq!(frames.iter().filter(|(_, frame)| frame.len() == 60).count(), 1);
    if let Ok(told) = Command::new("capinfos").arg("-c").arg(scratch.0.join(&merged.path)).output() {
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.contains("Number of packets:   6"), "{told}");
    }
}

#[test]
fn ten_thousand_streams_are_copied_whole() {
    let scratch = Scratch::new();
    let packets = scratch.packets(PacketLimits::default());
    let streams = 10_000;
    let round = |round: u64| {
        for start in (0..streams).step_by(500) {
            let of: Vec<_> = (start..start + 500).map(|index| (1 + index, round)).collect();
            push(&packets, &of, 60);
        }
    };
    round(0);
    packets.files().make_directory("all").unwrap();
    for number in 1..=streams {
        packets.copy(stream(number), &format!("all/{}", stream(number))).unwrap();
    }
    assert_eq!(packets.status().pinned, streams);
    for number in 1..4 {
        round(number);
        // A pace at which the copier follows.
        packets.flush().unwrap();
    }
    assert_eq!(packets.counters().pin_backlog + packets.counters().pin_refused, 0);
    for number in [1, 2, 4999, 10_000] {
        assert_eq!(numbers(&packets, &format!("all/{}", stream(number))), [0, 1, 2, 3]);
    }
    let merged = packets.snapshot(What::Directory("all")).unwrap();
    assert_eq!(merged.packets, 4 * streams);
    let few = PacketLimits { pins: 10, ..PacketLimits::default() };
    let packets = Packets::open(&scratch.files(), &few, true).unwrap();
    push(&packets, &(1..=30).map(|number| (number, 0)).collect::<Vec<_>>(), 60);
    packets.files().make_directory("few").unwrap();
    for number in 1..=30 {
        packets.copy(stream(number), &format!("few/{number}")).unwrap();
    }
    assert_eq!((packets.status().pinned, packets.counters().pins_forgotten), (10, 20));
}

const CRASH: &str = "KUBESHARK_TEST_CRASH";

#[test]
fn what_a_killed_process_wrote_is_found_again() {
    if let Some(data) = env::var_os(CRASH) {
        // The process that is killed.
        let packets =
            Packets::open(&Files::open(Path::new(&data), 1 << 30).unwrap(), &PacketLimits::default(), true);
        let packets = packets.unwrap();
        for round in 0.. {
            push(
                &packets,
                &(0..200).map(|index| (1 + index % 2, round * 200 + index)).collect::<Vec<_>>(),
                500,
            );
            if round == 0 {
                packets.copy(stream(1), "copy").unwrap();
            }
        }
    }
    let scratch = Scratch::new();
    let test = "store::packets::tests::what_a_killed_process_wrote_is_found_again";
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .env(CRASH, &scratch.0)
        .stdout(process::Stdio::null())
        .spawn()
        .unwrap();
    until("it wrote some", || scratch.0.join("packets").exists() && scratch.segments() > 4 << 20);
    child.kill().unwrap();
    child.wait().unwrap();
    // Half a record, as a larger write may leave it.
    let newest = fs::read_dir(scratch.0.join("packets/live-0")).unwrap().flatten().map(|file| file.path());
    let newest = newest.filter(|path| path.extension().is_some()).max().unwrap();
    let whole = newest.metadata().unwrap().len();
    let torn = record::Header {
        stream: StreamKey(3),
        at: 0,
        captured: 1000,
        wire: 1000,
        interface: 0,
        link_type: 1,
    };
    let file = fs::OpenOptions::new().write(true).open(&newest).unwrap();
    file.write_all_at(&[&torn.write()[..], &[0; 10]].concat(), whole).unwrap();

    let packets = scratch.packets(PacketLimits::default());
    let recovered = packets.counters().recovered;
    assert!(recovered > 4000, "{recovered}");
    let found = downloaded(&packets, stream(1));
    let other = downloaded(&packets, stream(2));
    assert_eq!(recovered, (found.len() + other.len()) as u64, "every packet is of a stream");
    let expected: Vec<u64> = (0..found.len() as u64).map(|index| index * 2).collect();
    assert_eq!(found.iter().map(|(_, frame)| number(frame)).collect::<Vec<_>>(), expected, "none is missing");
    // The copy is whole up to its last record, and a snapshot takes what is whole.
    let (copied, _) = frames_of(&packets, "copy");
    assert_eq!(copied, found[..copied.len()]);
    assert!(copied.len() > 50);
    packets.files().make_directory("dir").unwrap();
    packets.rename("copy", "dir").unwrap();
    assert_eq!(packets.snapshot(What::Directory("dir")).unwrap().packets, copied.len() as u64);
    // New packets go behind the old ones.
    push(&packets, &[(1, u64::MAX)], 100);
    assert_eq!(downloaded(&packets, stream(1)).len(), found.len() + 1);
}

/// A small file system that goes with its value.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf, bytes: u32) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let size = format!("size={bytes}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        done.is_ok_and(|done| done.status.success()).then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[test]
fn a_full_disk_costs_packets_and_nothing_else() {
    let scratch = Scratch::new();
    let Some(small) = Small::mount(scratch.0.join("small"), 1 << 20) else {
        eprintln!("only root can mount a small disk: not run");
        return;
    };
    let files = Files::open(&small.0, 1 << 30).unwrap();
    let packets = Packets::open(&files, &PacketLimits::default(), true).unwrap();
    push(&packets, &[(1, 0)], 100);
    packets.copy(stream(1), "copy").unwrap();
    // What others wrote fills the disk but for a little.
    fs::write(small.0.join("others"), vec![0; 700 << 10]).unwrap();
    let mut pushed = 1;
    while packets.counters().refused_disk == 0 {
        push(&packets, &[(1, pushed), (1, pushed + 1), (0, pushed + 2)], 1400);
        pushed += 3;
        packets.flush().unwrap();
        assert!(pushed < 3000);
    }
    assert!(packets.counters().pin_refused > 0);
    let (copied, whole) = frames_of(&packets, "copy");
    assert!(whole && copied.len() > 1, "a copy ends with a whole record");
    assert!(matches!(packets.copy(stream(1), "second"), Err(PacketsError::Disk(_))));
    assert!(packets.files().read("second").is_err(), "what could not be written does not lie about");
    assert!(packets.snapshot(What::All).is_err());
    // There is room again.
    fs::remove_file(small.0.join("others")).unwrap();
    let refused = packets.counters().refused_disk;
    push(&packets, &[(1, u64::MAX)], 1400);
    packets.flush().unwrap();
    let counters = packets.counters();
    assert_eq!(counters.refused_disk, refused, "it goes on by itself");
    assert_eq!(counters.stored + counters.refused_disk, pushed + 1);
    let stored = downloaded(&packets, stream(1));
    assert_eq!(number(&stored.last().unwrap().1), u64::MAX);
    assert_eq!(numbers(&packets, "copy").last(), Some(&u64::MAX));
    drop(packets);
}
