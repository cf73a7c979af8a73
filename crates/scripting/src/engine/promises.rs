//! What promises have to do after a call.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use boa_engine::{
    Context, JsResult,
    job::{GenericJob, Job, JobExecutor, PromiseJob},
};

enum Due {
    Promise(PromiseJob),
    Generic(GenericJob),
}

/// Reactions in the order in which they came. They run on their script's CPU time; a storm of them ends with it.
#[derive(Default)]
pub(crate) struct Promises(RefCell<VecDeque<Due>>);

impl Promises {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Forgets what is left, after a call that used up what it may.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl JobExecutor for Promises {
    fn enqueue_job(self: Rc<Self>, job: Job, _: &mut Context) {
        let due = match job {
            Job::PromiseJob(job) => Due::Promise(job),
            Job::GenericJob(job) => Due::Generic(job),
            // Finalizers are never owed; of the other kinds nothing here makes any.
            _ => return,
        };
        self.0.borrow_mut().push_back(due);
    }

    fn run_jobs(self: Rc<Self>, context: &mut Context) -> JsResult<()> {
        loop {
            let due = self.0.borrow_mut().pop_front();
            match due {
                Some(Due::Promise(job)) => job.call(context)?,
                Some(Due::Generic(job)) => job.call(context)?,
                None => return Ok(()),
            };
        }
    }
}
