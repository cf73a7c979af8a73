//! A filter made ready for records of one type: what can be found out about its fields is found before the first record.

use crate::{
    Answer, Filter, Record,
    code::{Code, Passes},
};
use std::sync::Arc;

/// A [`Filter`] for records of one type, several times as fast as the filter itself.
///
/// A filter finds each field by its name, in whatever record it is asked about. A sieve has asked the type for its
/// fields once, and then goes straight to them, as far as types are known: behind a `dyn Record` names are looked up
/// again.
///
/// ```
/// use kfl::{Filter, Options, Sieve, Value};
///
/// struct Peer { port: u16 }
/// struct Call { from: Peer, status: i64 }
///
/// kfl::record! {
///     impl Record for Peer as peer {
///         "port" => Value::Int(peer.port.into()),
///     }
/// }
/// kfl::record! {
///     impl Record for Call as call {
///         "from": Peer => &call.from,
///         "status" => Value::Int(call.status),
///     }
/// }
///
/// let filter = Filter::new("from.port == 80 and status >= 400", &Options::new(&[], 0))?;
/// let sieve = Sieve::new(filter);
/// assert!(sieve.matches(&Call { from: Peer { port: 80 }, status: 500 }));
/// assert!(!sieve.matches(&Call { from: Peer { port: 81 }, status: 500 }));
/// # Ok::<(), kfl::Error>(())
/// ```
pub struct Sieve<R> {
    filter: Arc<Filter>,
    form: Form<R>,
}

enum Form<R> {
    /// One term, and whether each of its answers lets a record through: most queries that are typed.
    Term(Probe<R>, Passes),
    Terms(Code<Probe<R>>),
    /// The filter's own way has to serve.
    Filter,
}

/// What answers one question about records of one type.
pub type Probe<R> = Box<dyn Fn(&R) -> Answer + Send + Sync>;

/// The way from a record to one of its parts, both of a known type.
pub trait Reach<R, T>: Fn(&R) -> &T + Copy + Send + Sync + 'static {}

impl<R, T, F: Fn(&R) -> &T + Copy + Send + Sync + 'static> Reach<R, T> for F {}

impl<R: Record + 'static> Sieve<R> {
    /// Makes a filter ready.
    pub fn new(filter: impl Into<Arc<Filter>>) -> Self {
        let filter = filter.into();
        let code =
            filter.code().map(|code| code.map(|question| R::probe(question.clone(), |record: &R| record)));
        let form = match code.map(Code::single) {
            Some(Ok((probe, passes))) => Form::Term(probe, passes),
            Some(Err(code)) => Form::Terms(code),
            None => Form::Filter,
        };
        Sieve { filter, form }
    }

    /// The filter that it was made of.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether the query lets this record through: the same as [`Filter::matches`].
    #[inline]
    pub fn matches(&self, record: &R) -> bool {
        match &self.form {
            Form::Term(probe, passes) => passes.on(probe(record)),
            Form::Terms(code) => code.passes(|probe| probe(record)),
            Form::Filter => self.filter.matches(record),
        }
    }
}
