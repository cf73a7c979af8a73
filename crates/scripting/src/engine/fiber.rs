//! A stack of its own for each script that runs, so that one that waits holds up no other.
//!
//! ```text
//!           resume(task)                       resume(None)
//!   Idle ─────────────────▶ running ──suspend──▶ Waiting ──▶ running
//!     ◀────── the task ends ────┘
//! ```

use std::{cell::Cell, io, ptr::NonNull};

use corosensei::{Coroutine, Yielder, stack::DefaultStack};

/// Something to run on a fiber.
pub(crate) type Task = Box<dyn FnOnce()>;

/// Why a fiber gave the thread back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Its task is done; it takes another.
    Idle,
    /// Its task waits for something; it is to be resumed once that is there.
    Waiting,
}

type Switch = Yielder<Option<Task>, Pause>;

thread_local! {
    /// The way out of the fiber that runs on this thread; none outside of fibers.
    static CURRENT: Cell<Option<NonNull<Switch>>> = const { Cell::new(None) };
}

/// Bytes of a fiber's stack. Address space: only what was touched takes memory.
pub(crate) const STACK: usize = 8 << 20;

/// A stack and what runs on it. It stays on its thread.
pub(crate) struct Fiber(Coroutine<Option<Task>, Pause, ()>);

impl Fiber {
    /// An idle one. Fails if there is no address space for its stack.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Coroutine::with_stack(DefaultStack::new(STACK)?, body)))
    }

    /// Runs the task, if the fiber is idle, or goes on with the one that waits.
    pub(crate) fn resume(&mut self, task: Option<Task>) -> Pause {
        let outer = CURRENT.take();
        let pause = self.0.resume(task).as_yield().unwrap_or(Pause::Idle);
        CURRENT.set(outer);
        pause
    }
}

fn body(switch: &Switch, first: Option<Task>) {
    let mut next = first;
    loop {
        CURRENT.set(Some(NonNull::from(switch)));
        if let Some(task) = next.take() {
            task();
        }
        next = switch.suspend(Pause::Idle);
    }
}

/// Whether a fiber runs on this thread.
pub(crate) fn is_inside() -> bool {
    CURRENT.get().is_some()
}

/// Gives the thread back until somebody resumes this fiber. Says whether there is a fiber to suspend.
pub(crate) fn suspend() -> bool {
    let Some(switch) = CURRENT.get() else { return false };
    #[expect(unsafe_code, reason = "JavaScript's natives get no reference that could carry the yielder")]
    // SAFETY: `CURRENT` is set by `body` on the very stack that runs now, whose `Yielder` lives as long as the stack
    // does; `Fiber::resume` takes it away whenever the thread runs anything else.
    let next = unsafe { switch.as_ref() }.suspend(Pause::Waiting);
    debug_assert!(next.is_none(), "a task for a fiber that has one");
    CURRENT.set(Some(switch));
    true
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    #[test]
    fn one_that_waits_holds_up_no_other() {
        let said = Rc::new(RefCell::new(Vec::new()));
        let say = |what: &'static str| {
            let said = Rc::clone(&said);
            move || said.borrow_mut().push(what)
        };
        let (mut first, mut second) = (Fiber::new().unwrap(), Fiber::new().unwrap());
        let (before, after, other) = (say("a waits"), say("a goes on"), say("b"));
        let task: Task = Box::new(move || {
            before();
            assert!(suspend());
            after();
        });
        assert_eq!(first.resume(Some(task)), Pause::Waiting);
        assert_eq!(second.resume(Some(Box::new(other))), Pause::Idle);
        assert_eq!(first.resume(None), Pause::Idle);
        assert_eq!(*said.borrow(), ["a waits", "b", "a goes on"]);
        assert!(!suspend(), "there is no fiber here");
    }

    #[test]
    fn what_is_dropped_while_it_waits_drops_what_it_holds() {
        let held = Rc::new(());
        let mut fiber = Fiber::new().unwrap();
        let holds = Rc::clone(&held);
        assert_eq!(
            fiber.resume(Some(Box::new(move || {
                suspend();
                drop(holds);
            }))),
            Pause::Waiting
        );
        drop(fiber);
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
