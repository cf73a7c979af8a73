//! `jobs.*`.

use boa_engine::{JsResult, JsString, JsValue, object::builtins::JsArray};

use super::{Call, Helper};
use crate::{
    engine::{Input, RUN_NOW, Task},
    wire::LineKind,
};

pub(super) const HELPERS: &[Helper] = &[
    Helper {
        name: "jobs.schedule",
        signature: "jobs.schedule(tag: string, cron: string, task: (...args: any[]) => void, limit?: number, ...args: any[]): void",
        doc: "Calls `task` on a schedule of six fields, seconds first (`0 */5 * * * *`: every five minutes), in UTC; five \
              fields, `@hourly` and `@every 90s` are understood too. It runs on every node, at most `limit` times there; 0 \
              or nothing is without end. A job with the same tag is replaced. Throws if the schedule makes no sense.",
        call: schedule,
    },
    Helper {
        name: "jobs.remove",
        signature: "jobs.remove(tag: string): void",
        doc: "Removes the jobs with this tag.",
        call: |call| {
            let tag = call.string(0)?;
            let shared = &call.scope().shared;
            shared.jobs.borrow_mut().remove(&shared.runtime, Some(&tag));
            Ok(JsValue::undefined())
        },
    },
    Helper {
        name: "jobs.removeAll",
        signature: "jobs.removeAll(): void",
        doc: "Removes all jobs of this node.",
        call: |call| {
            let shared = &call.scope().shared;
            shared.jobs.borrow_mut().remove(&shared.runtime, None);
            Ok(JsValue::undefined())
        },
    },
    Helper {
        name: "jobs.list",
        signature: "jobs.list(): string[]",
        doc: "The tags of this node's jobs.",
        call: |call| {
            let rows = call.scope().shared.jobs.borrow().list();
            let tags: Vec<JsValue> = rows.iter().map(|row| JsString::from(row.tag.as_str()).into()).collect();
            Ok(JsArray::from_iter(tags, call.context()).into())
        },
    },
    Helper {
        name: "jobs.run",
        signature: "jobs.run(tag: string): void",
        doc: "Runs the jobs with this tag as soon as the scripts that they belong to are free. Throws if there is none.",
        call: |call| {
            let tag = call.string(0)?;
            run(call, Some(&tag))
        },
    },
    Helper {
        name: "jobs.runAll",
        signature: "jobs.runAll(): void",
        doc: "Runs all jobs of this node as soon as the scripts that they belong to are free.",
        call: |call| run(call, None),
    },
    Helper {
        name: "jobs.scheduler.isRunning",
        signature: "jobs.scheduler.isRunning(): boolean",
        doc: "Whether jobs run when they are due.",
        call: |call| Ok((!call.scope().shared.jobs.borrow().is_stopped()).into()),
    },
    Helper {
        name: "jobs.scheduler.start",
        signature: "jobs.scheduler.start(): void",
        doc: "Lets jobs run when they are due, as from the beginning.",
        call: |call| Ok(stop(call, false)),
    },
    Helper {
        name: "jobs.scheduler.stop",
        signature: "jobs.scheduler.stop(): void",
        doc: "Lets no job run, until `jobs.scheduler.start`.",
        call: |call| Ok(stop(call, true)),
    },
];

fn schedule(call: &mut Call<'_>) -> JsResult<JsValue> {
    let (tag, cron) = (call.string(0)?, call.string(1)?);
    let function = call.function(2)?;
    let limit = call.optional_number(3)?.unwrap_or_default().max(0.0) as u64;
    let args = (4..call.len()).map(|at| call.value(at)).collect();
    let scope = call.scope();
    let task = Task::Script { function, args };
    let line = scope.shared.jobs.borrow_mut().schedule(scope, &tag, &cron, limit, task);
    let line = line.map_err(|why| call.error(why))?;
    call.print(LineKind::Log, &line);
    Ok(JsValue::undefined())
}

fn run(call: &mut Call<'_>, tag: Option<&str>) -> JsResult<JsValue> {
    let shared = &call.scope().shared;
    let found = shared.jobs.borrow().find(tag);
    if let Some(tag) = tag.filter(|_| found.is_empty()) {
        return Err(call.error(format_args!("no job '{tag}'")));
    }
    for (number, _) in found {
        shared.inbox.push(Input::Due(number | RUN_NOW));
    }
    Ok(JsValue::undefined())
}

fn stop(call: &mut Call<'_>, stop: bool) -> JsValue {
    call.scope().shared.jobs.borrow_mut().stop(stop);
    JsValue::undefined()
}
