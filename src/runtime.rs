//! The network thread: one for each backend, started at first use.
//!
//! It gets and returns owned Rust values only; PostgreSQL's memory and functions are touched by the backend thread alone.
//! The backend never blocks on it: it waits for a doorbell together with its latch, so that cancel and termination get through.

use crate::pg::wait::wait_for;
use crm_core::{Error, ErrorKind, Page, PageStream, Result};
use std::future::Future;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Pages decoded ahead of the one being emitted: one waits while the next is fetched.
const PAGES_AHEAD: usize = 1;

struct Runtime {
    handle: tokio::runtime::Handle,
}

static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();

fn runtime() -> Result<&'static Runtime> {
    RUNTIME.get_or_init(start).as_ref().map_err(|reason| {
        Error::new(ErrorKind::RemoteFault, "could not start the network thread")
            .with_detail(reason.clone())
    })
}

fn start() -> std::result::Result<Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let handle = runtime.handle().clone();
    // A signal must reach the backend's own thread: its handlers set that thread's latch.
    crate::pg::signals::with_all_blocked(|| {
        std::thread::Builder::new()
            .name("crm network".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
    })
    .map_err(|error| error.to_string())?;
    Ok(Runtime { handle })
}

/// A doorbell: the network thread rings, the backend waits.
struct Doorbell {
    listener: UnixStream,
}

#[derive(Clone)]
struct Button(Arc<UnixStream>);

fn doorbell() -> Result<(Doorbell, Button)> {
    let pair = || -> std::io::Result<(UnixStream, UnixStream)> {
        let (listener, ringer) = UnixStream::pair()?;
        listener.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        Ok((listener, ringer))
    };
    pair()
        .map(|(listener, ringer)| (Doorbell { listener }, Button(Arc::new(ringer))))
        .map_err(|error| {
            Error::new(ErrorKind::RemoteFault, "could not open a pair of sockets")
                .with_detail(error.to_string())
        })
}

impl Button {
    fn press(&self) {
        // A full buffer means that it rings already, and a closed one that nobody listens.
        let _ = (&*self.0).write(&[1]);
    }
}

impl Doorbell {
    /// Waits until it rings; leaves as an error on cancel.
    fn wait(&self) {
        wait_for(self.listener.as_raw_fd());
        let mut rings = [0_u8; 64];
        while let Ok(n_read) = (&self.listener).read(&mut rings) {
            if n_read < rings.len() {
                break;
            }
        }
    }
}

/// Rings when it is dropped, so that also a task that panics wakes the backend.
struct RingOnDrop(Button);

impl Drop for RingOnDrop {
    fn drop(&mut self) {
        self.0.press();
    }
}

/// Cancels its task when it is dropped: by then the backend has what it wanted, or has given up.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `future` on the network thread and waits for its result.
///
/// # Errors
/// What the future gives, or that the network thread is gone.
pub fn run<T, F>(future: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (bell, button) = doorbell()?;
    let (answer, mut answered) = oneshot::channel();
    let _task = Task(runtime()?.handle.spawn(async move {
        let _ring = RingOnDrop(button);
        let _ = answer.send(future.await);
    }));
    loop {
        match answered.try_recv() {
            Ok(result) => return result,
            Err(oneshot::error::TryRecvError::Empty) => bell.wait(),
            Err(oneshot::error::TryRecvError::Closed) => return Err(thread_is_gone()),
        }
    }
}

/// Has the network thread, if there is one yet, run `future` for what time `most` allows: for goodbyes, which nothing
/// depends on. With `waits` the backend waits for its end, deaf to all else: only while it ends itself.
pub fn run_aside(future: impl Future<Output = ()> + Send + 'static, most: Duration, waits: bool) {
    let Some(Ok(runtime)) = RUNTIME.get() else {
        return;
    };
    let (done, is_done) = std::sync::mpsc::channel();
    runtime.handle.spawn(async move {
        let _ = tokio::time::timeout(most, future).await;
        let _ = done.send(());
    });
    if waits {
        let _ = is_done.recv_timeout(most);
    }
}

/// A scan on the network thread; dropping it stops the traffic (S-9).
pub struct Scan {
    pages: mpsc::Receiver<Result<Option<Page>>>,
    bell: Doorbell,
    _task: Task,
}

impl Scan {
    /// Starts reading; the first page is under way when this returns.
    ///
    /// # Errors
    /// When the network thread cannot be started.
    pub fn start(open: impl FnOnce() -> Box<dyn PageStream> + Send + 'static) -> Result<Self> {
        let (bell, button) = doorbell()?;
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let task = runtime()?.handle.spawn(async move {
            let _ring = RingOnDrop(button.clone());
            let mut stream = open();
            loop {
                let page = stream.next().await;
                let is_last = !matches!(page, Ok(Some(_)));
                if sender.send(page).await.is_err() {
                    return;
                }
                button.press();
                if is_last {
                    return;
                }
            }
        });
        Ok(Self {
            pages,
            bell,
            _task: Task(task),
        })
    }

    /// The next page, or nothing at the end; waits for it.
    ///
    /// # Errors
    /// What stopped the scan.
    pub fn next_page(&mut self) -> Result<Option<Page>> {
        loop {
            match self.pages.try_recv() {
                Ok(page) => return page,
                // The end is said in words, so silence is a thread that died: never an end (S-10).
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(thread_is_gone()),
                Err(mpsc::error::TryRecvError::Empty) => self.bell.wait(),
            }
        }
    }
}

fn thread_is_gone() -> Error {
    Error::new(
        ErrorKind::RemoteFault,
        "the network thread ended without an answer",
    )
}
