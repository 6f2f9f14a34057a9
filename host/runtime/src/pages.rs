//! The pages of a step's plan: several are asked for at once, and they come out in the order of the plan.
//!
//! A page names those that follow it, and each of these may name more, which come right after it: a tree, walked from the
//! front. What comes out is what asking for one after the other would give, errors included, however the answers come.

use std::collections::{HashMap, HashSet};

use cutover_engine::{Digest, Failure, FailureCase};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::clock::BoxFuture;

/// Pages that were asked for and have not come out: while one is slow, no more of those behind it are held in memory.
const AHEAD: usize = 48;

/// All cursors of pages still to come, in bytes.
const CURSOR_BYTES: usize = 16 << 20;

/// Which page: of which of the lists that the walk began with, and its cursor; none for a list's first page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageOf {
    pub(crate) list: usize,
    pub(crate) cursor: Option<String>,
}

/// What a page holds, and the cursors that it names.
#[derive(Debug)]
pub(crate) struct Paged<T> {
    pub(crate) content: T,
    pub(crate) rest: Vec<String>,
}

/// How far a walk may go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Pages that are asked for at the same time, at least one.
    pub(crate) at_once: usize,
    /// Pages altogether: a plugin that never ends its list is stopped.
    pub(crate) pages: usize,
}

/// A walk through all pages. Dropping it ends the calls under way.
pub(crate) struct Pages<'a, T> {
    ask: Box<dyn Fn(PageOf) -> BoxFuture<'a, Answer<T>> + Send + 'a>,
    bounds: Bounds,
    /// The pages that have not come out, by numbers that mean nothing; each knows the next one.
    places: HashMap<usize, Place<T>>,
    front: Option<usize>,
    placed: usize,
    /// Places that are not waiting.
    asked: usize,
    under_way: FuturesUnordered<BoxFuture<'a, (usize, Answer<T>)>>,
    out: Out,
}

type Answer<T> = Result<Paged<T>, Failure>;

struct Place<T> {
    page: PageOf,
    stage: Stage<T>,
    next: Option<usize>,
}

enum Stage<T> {
    Waiting,
    Asked,
    Answered(Result<Answered<T>, Failure>),
}

/// A page whose rest has places of its own.
struct Answered<T> {
    content: T,
    named: usize,
    bytes: usize,
}

impl<'a, T: Send + 'a> Pages<'a, T> {
    /// Begins at the first pages of so many lists; the lists come one after the other.
    pub(crate) fn new(lists: usize, bounds: Bounds, ask: impl Fn(PageOf) -> BoxFuture<'a, Answer<T>> + Send + 'a) -> Self {
        let mut pages = Self {
            ask: Box::new(ask),
            bounds,
            places: HashMap::new(),
            front: None,
            placed: 0,
            asked: 0,
            under_way: FuturesUnordered::new(),
            out: Out { open: lists, ..Out::default() },
        };
        pages.front = pages.place((0..lists).map(|list| PageOf { list, cursor: None }), None);
        pages
    }

    /// The content of the next page in the order of the plan; none behind the last one. After a failure the walk is over.
    ///
    /// # Errors
    /// That of the first page in the order of the plan that has one; `CUT3414` where the plan has no end.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Failure> {
        while let Some(front) = self.front {
            if matches!(self.places[&front].stage, Stage::Answered(_)) {
                return self.come_out(front).map(Some);
            }
            self.ask_ahead();
            let answered = self.under_way.next().await;
            let (place, answer) = answered.expect("the front is the first to be asked for; if it is not yet, others are under way");
            self.answered(place, answer);
        }
        Ok(None)
    }

    /// Asks for those that come first of what was not yet asked for.
    fn ask_ahead(&mut self) {
        let mut at = self.front;
        while let Some(number) = at
            && self.under_way.len() < self.bounds.at_once.max(1)
            && self.asked < AHEAD
        {
            let place = self.places.get_mut(&number).expect("a place that is next to another is there");
            if matches!(place.stage, Stage::Waiting) {
                place.stage = Stage::Asked;
                let answer = (self.ask)(place.page.clone());
                self.under_way.push(Box::pin(async move { (number, answer.await) }));
                self.asked += 1;
            }
            at = place.next;
        }
    }

    /// Keeps an answer until its turn; the pages that it names have their places right after it.
    fn answered(&mut self, number: usize, answer: Answer<T>) {
        let place = &self.places[&number];
        let (list, next) = (place.page.list, place.next);
        let (answered, next) = match answer {
            Err(failure) => (Err(failure), next),
            Ok(Paged { content, rest }) => {
                let (named, bytes) = (rest.len(), rest.iter().map(String::len).sum());
                let next = self.place(rest.into_iter().map(|cursor| PageOf { list, cursor: Some(cursor) }), next);
                (Ok(Answered { content, named, bytes }), next)
            }
        };
        let place = self.places.get_mut(&number).expect("it was there just now");
        place.stage = Stage::Answered(answered);
        place.next = next;
    }

    /// Gives places to these pages, one after the other and before `next`. The first of them all.
    fn place(&mut self, pages: impl DoubleEndedIterator<Item = PageOf>, next: Option<usize>) -> Option<usize> {
        pages.rev().fold(next, |next, page| {
            self.placed += 1;
            self.places.insert(self.placed, Place { page, stage: Stage::Waiting, next });
            Some(self.placed)
        })
    }

    fn come_out(&mut self, front: usize) -> Result<T, Failure> {
        let place = self.places.remove(&front).expect("the front is there");
        self.front = place.next;
        self.asked -= 1;
        self.out.page(&place.page)?;
        let Stage::Answered(answered) = place.stage else { unreachable!("only an answered page comes out") };
        let Answered { content, named, bytes } = answered?;
        self.out.names(named, bytes, self.bounds.pages)?;
        Ok(content)
    }
}

/// What came out. Only this decides whether a plan is without end, so that it does not depend on what came early.
#[derive(Default)]
struct Out {
    pages: usize,
    cursors: HashSet<(usize, Digest)>,
    /// Pages that were named and have not come out, and how long their cursors are.
    open: usize,
    open_bytes: usize,
}

impl Out {
    fn page(&mut self, page: &PageOf) -> Result<(), Failure> {
        self.pages += 1;
        self.open -= 1;
        let Some(cursor) = &page.cursor else { return Ok(()) };
        self.open_bytes -= cursor.len();
        let is_new = self.cursors.insert((page.list, Digest::of(cursor.as_bytes())));
        if is_new { Ok(()) } else { Err(endless("its plan names the same page twice".to_owned())) }
    }

    fn names(&mut self, named: usize, bytes: usize, most: usize) -> Result<(), Failure> {
        self.open += named;
        self.open_bytes += bytes;
        if self.pages + self.open > most {
            return Err(endless(format!("its plan has more than {most} pages")));
        }
        if self.open_bytes > CURSOR_BYTES {
            return Err(endless(format!("its plan's cursors have more than {CURSOR_BYTES} bytes together")));
        }
        Ok(())
    }
}

fn endless(text: String) -> Failure {
    Failure { case: FailureCase::Exhausted, code: Some("CUT3414".to_owned()), text }
}

#[cfg(test)]
mod tests;
