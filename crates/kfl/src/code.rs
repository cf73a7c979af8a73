//! The short way through a query: tests of single fields, and where to go after each.
//!
//! Nearly every query is `and`, `or` and `!` over terms about one field each. Such a tree becomes a list of tests with
//! three jumps apiece, for a test that holds, one that does not, and a field that is missing; brackets and chains are
//! gone. Jumps lead to tests of lower numbers only, so that every run ends.

use crate::{
    ask::{Answer, Question},
    check::Check,
    program::{Node, Selection},
};

/// A query as tests and jumps. What a test is, its owner knows: a [`Question`] to any record, or what became of it for
/// records of one type.
pub(crate) struct Code<T = Question> {
    ops: Vec<Op<T>>,
    start: Target,
}

/// The number of a test, or one of the two ends.
pub(crate) type Target = u32;

const YES: Target = Target::MAX;
const NO: Target = Target::MAX - 1;

struct Op<T> {
    test: T,
    goals: Goals,
}

/// Where to go.
#[derive(Clone, Copy)]
pub(crate) struct Goals {
    pub(crate) yes: Target,
    pub(crate) no: Target,
    pub(crate) missing: Target,
}

impl Goals {
    pub(crate) fn turned(self) -> Self {
        Goals { yes: self.no, no: self.yes, ..self }
    }
}

/// Which answers of an only test let a record through.
pub(crate) struct Passes {
    yes: bool,
    no: bool,
    missing: bool,
}

impl Passes {
    #[inline]
    pub(crate) fn on(&self, answer: Answer) -> bool {
        match answer {
            Answer::Yes => self.yes,
            Answer::No => self.no,
            Answer::Missing => self.missing,
        }
    }
}

impl<T> Code<T> {
    /// Whether the query lets a record through of which `ask` answers the tests.
    #[inline]
    pub(crate) fn passes(&self, ask: impl Fn(&T) -> Answer) -> bool {
        let mut at = self.start;
        while let Some(op) = self.ops.get(at as usize) {
            at = match ask(&op.test) {
                Answer::Yes => op.goals.yes,
                Answer::No => op.goals.no,
                Answer::Missing => op.goals.missing,
            };
        }
        at == YES
    }

    /// The only test and what comes of its answers; the code as it is where it has several, or none.
    pub(crate) fn single(mut self) -> Result<(T, Passes), Self> {
        if self.ops.len() != 1 || self.start != 0 {
            return Err(self);
        }
        let Some(Op { test, goals }) = self.ops.pop() else { return Err(self) };
        let passes = Passes { yes: goals.yes == YES, no: goals.no == YES, missing: goals.missing == YES };
        Ok((test, passes))
    }

    /// The same jumps between other tests.
    pub(crate) fn map<U>(&self, map: impl Fn(&T) -> U) -> Code<U> {
        let ops = self.ops.iter().map(|op| Op { test: map(&op.test), goals: op.goals });
        Code { ops: ops.collect(), start: self.start }
    }
}

impl Code {
    /// The code of a program; `None` where it has anything else.
    pub(crate) fn of(program: &Node) -> Option<Self> {
        Code::built(|code, goals| code.node(program, goals))
    }

    /// The code of whatever `add` adds.
    pub(crate) fn built(add: impl FnOnce(&mut Self, Goals) -> Option<Target>) -> Option<Self> {
        let mut code = Code { ops: Vec::new(), start: NO };
        code.start = add(&mut code, Goals { yes: YES, no: NO, missing: NO })?;
        Some(code)
    }

    /// Adds a node and gives the test to begin it with.
    pub(crate) fn node(&mut self, node: &Node, goals: Goals) -> Option<Target> {
        match node {
            Node::Constant(constant) => Some(if constant.datum.truth() { goals.yes } else { goals.no }),
            Node::Regex(_) => Some(goals.no),
            Node::Missing => Some(goals.missing),
            Node::Group(inner) => self.node(inner, Goals { missing: goals.no, ..goals }),
            Node::Not(inner) => match &**inner {
                Node::Select(selection) => self.add(selection, Check::Untruth, goals),
                inner => is_truth(inner).then(|| self.node(inner, goals.turned()))?,
            },
            Node::Or(terms) => self.chain(terms, goals.no, |next| Goals { no: next, ..goals }, Check::any),
            Node::And(terms) => self.chain(terms, goals.yes, |next| Goals { yes: next, ..goals }, Check::all),
            Node::Select(selection) => self.add(selection, Check::Truth, goals),
            Node::Test(selection, test) => {
                let (check, turned) = Check::of(test);
                self.add(selection, check, if turned { goals.turned() } else { goals })
            }
            Node::Text(Some(selection), test, argument) => {
                let Node::Constant(argument) = &**argument else { return None };
                // A missing field reads as the word false.
                let missing = if test.holds("false", argument.form()) { goals.yes } else { goals.no };
                self.add(selection, Check::text(*test, argument.form()), Goals { missing, ..goals })
            }
            _ => None,
        }
    }

    /// Adds the terms of a chain, the last first, since each leads to the one after it.
    fn chain(
        &mut self,
        terms: &[Node],
        end: Target,
        goals: impl Fn(Target) -> Goals,
        join: fn(Vec<(Check, bool)>) -> Check,
    ) -> Option<Target> {
        let mut next = end;
        let runs: Vec<&[Node]> = terms.chunk_by(same_field).collect();
        for run in runs.into_iter().rev() {
            next = match run {
                [Node::Test(selection, _), _, ..] => {
                    // One field asked several things is looked up once.
                    let checks = run.iter().filter_map(|term| match term {
                        Node::Test(_, test) => Some(Check::of(test)),
                        _ => None,
                    });
                    self.add(selection, join(checks.collect()), goals(next))?
                }
                run => run.iter().rev().try_fold(next, |next, term| self.node(term, goals(next)))?,
            };
        }
        Some(next)
    }

    fn add(&mut self, selection: &Selection, check: Check, goals: Goals) -> Option<Target> {
        self.ask(Question::new(selection.names.as_deref()?, check), goals)
    }

    /// Adds a test.
    pub(crate) fn ask(&mut self, test: Question, goals: Goals) -> Option<Target> {
        if test.way().is_empty() {
            return None;
        }
        let target = Target::try_from(self.ops.len()).ok().filter(|target| *target < NO)?;
        self.ops.push(Op { test, goals });
        Some(target)
    }
}

/// Whether a node is a truth and nothing else, so that `!` turns it round.
fn is_truth(node: &Node) -> bool {
    match node {
        Node::Or(_) | Node::And(_) | Node::Test(..) | Node::Text(..) => true,
        Node::Group(inner) | Node::Not(inner) => is_truth(inner),
        _ => false,
    }
}

fn same_field(left: &Node, right: &Node) -> bool {
    match (left, right) {
        (Node::Test(left, _), Node::Test(right, _)) => left.names.is_some() && left.names == right.names,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn most_queries_are_short() {
        let options = crate::Options::new(&[("http", "protocol.abbr == \"HTTP\"")], 0);
        let is_short = |text: &str| {
            let expr = crate::parser::parse(text).unwrap().unwrap();
            crate::compile::compile(Some(&expr), &options).unwrap().code.is_some()
        };
        for text in [
            "!http and (a == 1 or !(b.c != r\"x\"))",
            "!a or b.contains(\"x\") and limit(5)",
            "a > 1 and a < 5 and true",
        ] {
            assert!(is_short(text), "{text}");
        }
        for text in ["a.* == 1", "a == b", "a.json().b == 1", "redact(\"a\") and b", "-a < 1"] {
            assert!(!is_short(text), "{text}");
        }
    }
}
