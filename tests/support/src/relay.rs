//! A faulty wire in front of a real server.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// A connection ends when it has carried so many bytes to the server.
    CutAfter(u64),
    /// A connection carries so many bytes to the server, and then nothing; it ends when something else goes wrong.
    HangAfter(u64),
    /// A proxy on the way answers with this status.
    Answer(u16),
}

#[derive(Debug)]
struct State {
    server: Mutex<String>,
    fault: Mutex<Fault>,
    connections: AtomicU64,
    ended: AtomicBool,
}

/// The wire; it ends with its value.
#[derive(Debug)]
pub struct Relay {
    address: String,
    state: Arc<State>,
}

impl Relay {
    /// Starts on a free port of 127.0.0.1, with no server yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a socket").to_string();
        let state = Arc::new(State {
            server: Mutex::default(),
            fault: Mutex::new(Fault::None),
            connections: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.ended.load(Ordering::Relaxed) {
                    break;
                }
                let shared = shared.clone();
                // Either side may go away.
                thread::spawn(move || drop(carry(&client, &shared)));
            }
        });
        Self { address, state }
    }

    /// Where clients connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Says which server is behind it.
    pub fn forward(&self, server: &str) {
        server.clone_into(&mut self.state.server.lock().expect("no panic"));
    }

    /// Says what goes wrong with the connections from now on.
    pub fn fail(&self, fault: Fault) {
        *self.state.fault.lock().expect("no panic") = fault;
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(&self.address));
    }
}

/// Takes what comes and does nothing, as long as that is what goes wrong and the client is there.
fn hang(client: &TcpStream, state: &State) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_millis(20)))?;
    let (mut reader, mut buffer) = (client, [0; 4096]);
    while matches!(*state.fault.lock().expect("no panic"), Fault::HangAfter(_)) {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn carry(client: &TcpStream, state: &Arc<State>) -> io::Result<()> {
    state.connections.fetch_add(1, Ordering::Relaxed);
    let server = TcpStream::connect(&*state.server.lock().expect("no panic"))?;
    let (from, to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        drop(io::copy(&mut &from, &mut &to));
        drop(to.shutdown(Shutdown::Write));
    });
    let (mut reader, mut writer) = (client, &server);
    let mut carried = 0;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = reader.read(&mut buffer)?;
        // Set anew at each piece, so that a fault also meets connections that were kept.
        let fault = *state.fault.lock().expect("no panic");
        carried += read as u64;
        match fault {
            _ if read == 0 => return server.shutdown(Shutdown::Write),
            Fault::CutAfter(limit) if carried > limit => {
                server.shutdown(Shutdown::Both)?;
                return client.shutdown(Shutdown::Both);
            }
            Fault::HangAfter(limit) if carried > limit => {
                hang(client, state)?;
                server.shutdown(Shutdown::Both)?;
                return client.shutdown(Shutdown::Both);
            }
            Fault::Answer(status) => {
                let answer =
                    format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                (&*client).write_all(answer.as_bytes())?;
                server.shutdown(Shutdown::Both)?;
                client.shutdown(Shutdown::Write)?;
                // What is still on its way would reset the connection, and take the answer with it.
                return io::copy(&mut reader, &mut io::sink()).map(drop);
            }
            _ => writer.write_all(&buffer[..read])?,
        }
    }
}
